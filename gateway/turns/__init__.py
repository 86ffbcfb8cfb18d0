"""Turns: a message is read, answered by a copy of the agent, and its end is written."""
