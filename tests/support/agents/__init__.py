"""Agents for the tests of engines and flows."""
