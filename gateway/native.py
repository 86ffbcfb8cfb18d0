"""Agents that are already written for a framework: which engine runs them."""

from importlib.metadata import entry_points
from typing import Any

ENGINES = "understudy.engines"
NATIVE_AGENTS = "understudy.native_agents"
"""The group of entry points that say, by the full name of a framework's class of agents, which engine runs these."""


def engine_of(value: Any) -> str | None:
    """The name of the engine that runs an agent of a framework, or `None` if `value` is no such agent.

    The framework is not imported for it: who made the agent has done so.
    """
    classes = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(value).__mro__}
    for found in entry_points(group=NATIVE_AGENTS):
        if found.name in classes:
            return next(engine.name for engine in entry_points(group=ENGINES) if engine.value == found.value)
    return None
