"""The outbox: what is to be sent, in order, and its delivery."""
