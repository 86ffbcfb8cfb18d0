"""The inbox: messages that were accepted, in order, and what dispatches their turns."""
