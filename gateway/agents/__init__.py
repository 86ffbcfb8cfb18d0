"""Agents: the templates that turns copy, which of them answers a message, and how to run one in a script."""
