"""Find the objects that a template may share with its clones, because they cannot change."""

import gc
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partialmethod
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from json import JSONDecoder
from logging import Logger
from pathlib import PurePath
from random import SystemRandom
from re import Match, Pattern
from struct import Struct
from types import (
    BuiltinFunctionType,
    CellType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any, Protocol, runtime_checkable
from uuid import UUID
from weakref import ReferenceType

from pydantic_core import MultiHostUrl, Url
from sqlalchemy import MetaData
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from toolkits.paths import attributes

_DESCRIPTORS = (
    property, partialmethod, MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType,
    GetSetDescriptorType, MemberDescriptorType,
)  # fmt: skip
# What these objects hold cannot change either, or is the same for everybody.
ATOMS = (
    type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented), Decimal, Fraction,
    date, time, timedelta, tzinfo, UUID, PurePath, Pattern, Match, Struct, Enum, type, ModuleType, CodeType, Logger,
    IPv4Address, IPv4Network, IPv6Address, IPv6Network, Url, MultiHostUrl, SchemaItem, MetaData, TypeEngine,
    GenericAlias, UnionType, *_DESCRIPTORS,
)  # fmt: skip
# These cannot change, but what they hold may.
_CONTAINERS = (
    tuple, frozenset, FunctionType, MethodType, BuiltinFunctionType, CellType, ReferenceType, ContextVar,
)  # fmt: skip
# The same goes for these, but not for their subclasses, which may add state.
_EXACT_CONTAINERS = (JSONDecoder, SystemRandom)
# `copy.deepcopy` raises for these, or copies far more than what differs between people.
_SHARED_IN_COPIES = (ContextVar, Struct, SchemaItem, MetaData, TypeEngine)

_JSON_CONSTANTS = JSONDecoder().parse_constant  # a method of a dictionary of the standard library


@runtime_checkable
class Cloneable(Protocol):
    """An object that can be cloned, like a toolkit or an agent."""

    def own_values(self) -> Iterable[Any]:
        """Return the values of the attributes that a clone does not share."""
        ...


def is_atom(found: Any) -> bool:
    """Return whether neither an object nor anything that it holds can change."""
    if isinstance(found, ATOMS) or type(found) is object or type(found).__module__ == "typing":
        return True
    jinja = sys.modules.get("jinja2.utils")
    return jinja is not None and found is jinja.missing  # a sentinel that compiled templates have


def is_immutable(found: Any) -> bool:
    """Return whether an object itself cannot change. The objects that it holds may."""
    return isinstance(found, _CONTAINERS) or type(found) in _EXACT_CONTAINERS or is_frozen(found) or is_atom(found)


def is_shared_in_copies(found: Any) -> bool:
    """Return whether a deep copy has to refer to the same object, although `copy.deepcopy` would not."""
    return isinstance(found, _SHARED_IN_COPIES) or type(found) in _EXACT_CONTAINERS


def is_frozen(found: Any) -> bool:
    """Return whether an object is an instance of a frozen dataclass."""
    parameters = getattr(type(found), "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def children(found: Any) -> Iterable[Any]:
    """Return the objects that an object holds and that may differ between people."""
    if isinstance(found, FunctionType):  # not its globals, which are the module's
        return [found.__closure__, found.__defaults__, found.__kwdefaults__, *found.__dict__.values()]
    if isinstance(found, MethodType):  # not its function, which belongs to the class
        return [found.__self__]
    if isinstance(found, BuiltinFunctionType):
        return [found.__self__]
    if isinstance(found, ReferenceType):
        return [found()]
    if isinstance(found, Cloneable):  # a toolkit or an agent inside this one
        return found.own_values()
    if type(found) is JSONDecoder:  # its scanner holds the same objects, and its memo is empty between two calls
        hooks = {name: value for name, value in vars(found).items() if name not in ("scan_once", "memo")}
        return [value for value in hooks.values() if value != _JSON_CONSTANTS]
    if is_jinja(found, "Environment"):  # not its cache: a copy gets a new one
        return [value for name, value in vars(found).items() if name != "cache"]
    if is_frozen(found) or type(found) is SystemRandom:
        return attributes(found).values()
    return gc.get_referents(found)


def is_jinja(found: Any, name: str) -> bool:
    """Return whether an object is of the jinja2 class `name`: https://jinja.palletsprojects.com/en/stable/api/."""
    module = sys.modules.get("jinja2")  # such an object exists only if jinja2 has been imported
    return module is not None and isinstance(found, getattr(module, name))
