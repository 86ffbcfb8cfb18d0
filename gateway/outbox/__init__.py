"""The outbox: add what is to be sent, and deliver it in order."""
