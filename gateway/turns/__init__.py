"""Turns: read a claimed message, answer it with a copy of the agent, and write the end."""
