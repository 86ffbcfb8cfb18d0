"""Adapters that run agents: flows, and one folder for each framework.

Each folder has the same files: `engine.py` implements the contract of `gateway.runs.engine`, `tools.py` gives the tools
of an agent to the framework, `history.py` translates between stored items and the framework's messages, and the file
named in its docstring continues an interrupted turn: `replay.py`, or `checkpoints.py` for LangGraph.
"""
