"""Find the engine for an agent that is written for a framework."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

ENGINES = "understudy.engines"
"""The entry point group that names the classes of engines."""
NATIVE_AGENTS = "understudy.native_agents"
"""The entry point group that maps the full name of a framework's agent class to the class of its engine."""


UNNAMED = frozenset({None, "LangGraph"})  # the default names that frameworks give to agents


def name_of(native: Any) -> str | None:
    """Return the name of a framework's agent; `None` if it has only the framework's default name."""
    name = getattr(native, "name", None)
    return None if name in UNNAMED else name


def engine_of(value: Any) -> str | None:
    """Return the name of the engine that runs a framework's agent; `None` if the value is not a known kind of agent.

    Agents are recognized by the name of their class, so that no framework is imported.
    """
    classes = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(value).__mro__}
    return next((engine for name, engine in _engines().items() if name in classes), None)


@cache
def _engines() -> Mapping[str, str]:
    names = {found.value: found.name for found in entry_points(group=ENGINES)}
    return {found.name: names[found.value] for found in entry_points(group=NATIVE_AGENTS)}
