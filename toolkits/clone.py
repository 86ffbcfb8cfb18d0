"""Copying an object's state for one turn, and proving that the copy shares nothing it should not."""

import copy
import functools
import gc
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from logging import Logger
from pathlib import PurePath
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol, runtime_checkable
from uuid import UUID
from weakref import ReferenceType

_IMMUTABLE = (
    type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented), Decimal, Fraction,
    date, time, timedelta, tzinfo, UUID, PurePath, re.Pattern, Enum, type, ModuleType, CodeType, property,
    functools.partialmethod, Logger,
)  # fmt: skip
_IMMUTABLE_CONTAINERS = (tuple, frozenset, FunctionType, MethodType, BuiltinFunctionType, CellType, ReferenceType)

MISSING = object()

CLONE = "clone()"  # in place of an attribute, for an overridden method that is wrong

INTERNAL = ("_functions", "_initial_values")  # what a toolkit keeps for itself and makes anew


@runtime_checkable
class Cloneable(Protocol):
    """What knows itself which of its attributes are not shared on purpose."""

    def own_values(self) -> Iterable[Any]: ...


class CloneError(Exception):
    """A toolkit has an attribute that can be neither copied, reset nor shared. The message names both."""

    def __init__(self, owner: object, attribute: str, reason: str) -> None:
        name = type(owner).__name__
        if attribute == CLONE:
            found = f"{name}.clone() is wrong: {reason}"
            advice = "return what super().clone() returns, with your changes, or leave the method out"
        else:
            found = f"{name}.{attribute} cannot be cloned: {reason}"
            advice = (
                f"either make the value on first use and name {attribute!r} in {name}._clone_reset_attrs (None being a "
                f"good first value), or, if one object may serve all people, name it in {name}._clone_shared_attrs"
            )
        super().__init__(f"{found}. Every person gets a copy of {name}, so {advice}.")
        self.owner = name
        self.attribute = attribute


def attributes(owner: object) -> dict[str, Any]:
    """An object's own attributes, wherever they are kept: `__dict__` and slots."""
    values: dict[str, Any] = {}
    for cls in type(owner).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{cls.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") else slot
            if name not in ("__dict__", "__weakref__") and (value := getattr(owner, name, MISSING)) is not MISSING:
                values[name] = value
    return values | getattr(owner, "__dict__", {})


def deep_copy(owner: object, attribute: str, value: Any, memo: dict[int, Any]) -> Any:
    """Copies one attribute of `owner`.

    Raises:
        CloneError: if the value says that it cannot be copied, in whatever way it says so.
    """
    if type(value) is object or isinstance(value, ModuleType):  # a sentinel is compared by identity
        return value
    try:
        return copy.deepcopy(value, memo)
    except CloneError:
        raise
    except Exception as error:
        raise CloneError(owner, attribute, f"{type(value).__name__!r} cannot be copied ({error})") from error


def clone_attributes(
    source: object,
    target: object,
    *,
    reset: Mapping[str, Any],
    shared: Collection[str],
    skip: Collection[str] = INTERNAL,
) -> None:
    """Gives `target` the attributes of `source`: reset, shared by reference, or copied.

    Args:
        reset: initial values, which `target` gets a fresh copy of, or `MISSING` for an attribute that was not there.
        shared: names of what is shared on purpose.
        skip: names that `target` makes for itself.

    Raises:
        CloneError: naming the attribute that is none of these and cannot be copied.
    """
    values = attributes(source)
    memo: dict[int, Any] = {id(source): target}
    memo |= {id(values[name]): values[name] for name in shared if name in values}
    for name, value in {**values, **reset}.items():
        if name in skip or value is MISSING:
            continue
        object.__setattr__(target, name, value if name in shared else deep_copy(source, name, value, memo))


def check_nothing_shared(
    source: object, target: object, shared: Collection[str], skip: Collection[str] = INTERNAL
) -> None:
    """Proves that a clone and its template have no mutable object in common, but for what is shared on purpose.

    Raises:
        CloneError: naming the attribute through which they have.
    """
    originals = {name: value for name, value in attributes(source).items() if name not in skip}
    permitted = {id(value) for name, value in originals.items() if name in shared}
    reachable = {id(source)} | {id(found) for value in originals.values() for found in _walk(value, permitted)}
    for name, value in attributes(target).items():
        if name in skip:
            continue
        for found in _walk(value, permitted):
            if id(found) in reachable and not _is_immutable(found):
                raise CloneError(source, name, f"it would share a {type(found).__name__!r} between people")


def _walk(root: Any, permitted: set[int]) -> Iterator[Any]:
    seen: set[int] = set()
    pending = [root]
    while pending:
        found = pending.pop()
        if id(found) in seen or id(found) in permitted or isinstance(found, _IMMUTABLE) or type(found) is object:
            continue
        seen.add(id(found))
        yield found
        pending.extend(_children(found))


def _children(found: Any) -> Iterable[Any]:
    if isinstance(found, FunctionType):  # not its globals, which are the module's
        return [found.__closure__, found.__defaults__, found.__kwdefaults__, *found.__dict__.values()]
    if isinstance(found, MethodType):  # its function is its class's
        return [found.__self__]
    if isinstance(found, BuiltinFunctionType):
        return [found.__self__]
    if isinstance(found, ReferenceType):
        return [found()]
    if isinstance(found, Cloneable):  # a toolkit or an agent inside this one
        return found.own_values()
    return attributes(found).values() if _is_frozen(found) else gc.get_referents(found)


def _is_immutable(found: Any) -> bool:
    return isinstance(found, _IMMUTABLE_CONTAINERS) or _is_frozen(found)


def _is_frozen(found: Any) -> bool:
    parameters = getattr(type(found), "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)
