"""Agents: the templates that turns copy, the routes that choose an agent for a message, and a runner for scripts."""
