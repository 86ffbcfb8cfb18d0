"""Runs of agents: the contract that engines implement, and flows. Nothing here uses the database."""
