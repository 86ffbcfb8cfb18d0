"""Runs of agents: the contract with engines, events, journals and flows, without any storage."""
