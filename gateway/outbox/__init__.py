"""The transactional outbox: messages to send, and their delivery in order."""
