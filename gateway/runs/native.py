"""Agents that are written for a framework, and the engines that run them."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

ENGINES = "understudy.engines"
"""The group of entry points that name the classes of engines."""
NATIVE_AGENTS = "understudy.native_agents"
"""The group of entry points that map the full name of a framework's agent class to the class of its engine."""


UNNAMED = frozenset({None, "LangGraph"})  # the names that frameworks give to agents without one


def name_of(native: Any) -> str | None:
    """Return the name of a framework's agent; `None` if nobody has given it one."""
    name = getattr(native, "name", None)
    return None if name in UNNAMED else name


def engine_of(value: Any) -> str | None:
    """Return the name of the engine that runs a framework's agent; `None` if the value is no such agent.

    No framework is imported: the caller has imported it to make the agent.
    """
    classes = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(value).__mro__}
    return next((engine for name, engine in _engines().items() if name in classes), None)


@cache
def _engines() -> Mapping[str, str]:
    names = {found.value: found.name for found in entry_points(group=ENGINES)}
    return {found.name: names[found.value] for found in entry_points(group=NATIVE_AGENTS)}
