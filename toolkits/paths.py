"""The path from an object to another that it holds, as a Python expression."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import BuiltinFunctionType, CellType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

MISSING = object()

_FUNCTION_PARTS = ("__closure__", "__defaults__", "__kwdefaults__", "__doc__")

LONGEST_KEY = 60  # characters of a key that are shown


def attributes(owner: object) -> dict[str, Any]:
    """Return an object's own attributes, wherever they are kept: `__dict__` and slots."""
    values: dict[str, Any] = {}
    for cls in type(owner).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{cls.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") else slot
            if name not in ("__dict__", "__weakref__") and (value := getattr(owner, name, MISSING)) is not MISSING:
                values[name] = value
    return values | getattr(owner, "__dict__", {})


def path(name: str, chain: Sequence[Any]) -> str:
    """Return the expression that leads from the first object of a chain to the last.

    Args:
        name: the expression for the first object.
        chain: objects, each held by the one before it.
    """
    steps: list[Any] = list(chain[:1])
    for value, following in zip(chain[1:], [*chain[2:], MISSING], strict=False):
        if not _holds(steps[-1], following):  # otherwise `value` is its `__dict__`, or the mapping behind a view
            steps.append(value)
    return name + "".join(edge(owner, child) for owner, child in pairwise(steps))


def _holds(owner: Any, child: Any) -> bool:
    values = owner.values() if isinstance(owner, MappingProxyType) else attributes(owner).values()
    return any(each is child for each in values)


def edge(owner: Any, child: Any) -> str:
    """Return the part of the expression that leads from an object to one that it holds."""
    if isinstance(owner, Mapping):
        return next((f"[{short(key)}]" for key, value in list(owner.items()) if value is child or key is child), "[…]")
    if isinstance(owner, (list, tuple, deque)):
        named = {name: getattr(owner, name) for name in getattr(owner, "_fields", ())}
        names = [f".{name}" for name, value in named.items() if value is child]
        return next(iter(names), None) or next((f"[{i}]" for i, value in enumerate(owner) if value is child), "[…]")
    if isinstance(owner, (set, frozenset)):
        return "[…]"
    if isinstance(owner, CellType):
        return ".cell_contents"
    if isinstance(owner, FunctionType):
        return next((f".{name}" for name in _FUNCTION_PARTS if getattr(owner, name) is child), "")
    if isinstance(owner, (ModuleType, type)) or child is getattr(owner, "__dict__", None):
        return ""
    if isinstance(owner, (MethodType, BuiltinFunctionType)):
        return ".__self__"
    name = next((name for name, value in attributes(owner).items() if value is child), None)
    return f".{name}" if name is not None else f" ({type(owner).__name__})"


def short(key: Any) -> str:
    """Return a key as a path shows it: without memory addresses, and cut to 60 characters."""
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(key))
    return text if len(text) <= LONGEST_KEY else f"{text[:LONGEST_KEY]}…"
