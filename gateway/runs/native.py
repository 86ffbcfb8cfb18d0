"""Agents that are already written for a framework: which engine runs them."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

ENGINES = "understudy.engines"
NATIVE_AGENTS = "understudy.native_agents"
"""The group of entry points that say, by the full name of a framework's class of agents, which engine runs these."""


UNNAMED = frozenset({None, "LangGraph"})  # what frameworks call an agent that was given no name


def name_of(native: Any) -> str | None:
    """What an agent of a framework is called, or `None` if nobody gave it a name."""
    name = getattr(native, "name", None)
    return None if name in UNNAMED else name


def engine_of(value: Any) -> str | None:
    """The name of the engine that runs an agent of a framework, or `None` if `value` is no such agent.

    The framework is not imported for it: who made the agent has done so.
    """
    classes = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(value).__mro__}
    return next((engine for name, engine in _engines().items() if name in classes), None)


@cache
def _engines() -> Mapping[str, str]:
    names = {found.value: found.name for found in entry_points(group=ENGINES)}
    return {found.name: names[found.value] for found in entry_points(group=NATIVE_AGENTS)}
