"""Agents: the templates that turns copy, the routes that choose among them, and a runner for scripts."""
