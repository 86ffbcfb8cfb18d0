"""Adapters that run agents: one for flows, and a folder for each framework.

Each folder has the same files: `engine.py` implements `gateway.runs.engine.Engine`, `tools.py` gives the tools of an
agent to the framework, `native_tools.py` reports the calls of a native agent's own tools, `history.py` translates
between stored items and the framework's messages, and `replay.py` (for LangGraph, `checkpoints.py`) resumes an
interrupted turn.
"""
