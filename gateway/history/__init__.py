"""The history of conversations: what a turn reads of it, and what a channel shows of it."""
