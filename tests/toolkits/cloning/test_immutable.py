"""Attributes that cannot change, or can be copied, are accepted."""

import contextvars
import enum
import functools
import ipaddress
import json
import logging
import random
import re
import struct
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import jinja2
import pytest
import sqlalchemy
from pydantic import HttpUrl

from gateway import Agent
from toolkits import Toolkit, tool

notes = sqlalchemy.Table("notes", sqlalchemy.MetaData(), sqlalchemy.Column("note", sqlalchemy.String))
templates = jinja2.Environment(
    loader=jinja2.DictLoader({"greeting": "Hello {{ name|upper }}{% block end %}!{% endblock %}"}), autoescape=True
)


CLONABLE: dict[str, Callable[[], object]] = {
    "an address of pydantic's": lambda: HttpUrl("https://example.com/"),
    "an IP address": lambda: ipaddress.ip_address("192.0.2.1"),
    "an IP network": lambda: ipaddress.ip_network("192.0.2.0/24"),
    "an IP interface": lambda: ipaddress.ip_interface("2001:db8::1/64"),
    "a context variable": lambda: contextvars.ContextVar[str]("person"),
    "a read-only view": lambda: types.MappingProxyType({"a": 1}),
    "a read-only view of lists": lambda: {"deep": [types.MappingProxyType({"a": types.MappingProxyType({"b": [1]})})]},
    "a type variable": lambda: TypeVar("T"),
    "a type hint": lambda: [list[int], int | None, Any, Callable[[int], str]],
    "a method of a built-in type": lambda: [str.upper, int.__add__, dict.fromkeys, ", ".join, [1].__len__],
    "a JSON decoder": json.JSONDecoder,
    "a JSON decoder with a hook": lambda: json.JSONDecoder(object_hook=dict),
    "a format of bytes": lambda: struct.Struct("<i"),
    "a match": lambda: re.match("a", "a"),
    "a random source of the system": random.SystemRandom,
    "a table": lambda: {"of": notes, "query": sqlalchemy.select(notes).where(notes.c.note == "x")},
    "a schema": lambda: notes.metadata,
    "a template": lambda: jinja2.Template("Hello"),
    "a template of an environment": lambda: templates.get_template("greeting"),
    "an environment of templates": lambda: templates,
}


@pytest.mark.parametrize("make", CLONABLE.values(), ids=CLONABLE.keys())
def test_immutable_and_copyable_values_are_accepted(make: Callable[[], object]) -> None:
    class Holder(Toolkit):
        _clone_reset_attrs = ("also",)

        def __init__(self) -> None:
            self.held = make()
            self.also = make()

    template = Holder()
    Agent(model="test", toolkits=[template]).check()
    clone = template.clone()
    assert type(clone.held) is type(clone.also) is type(template.held)


class Target:
    pass


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Frozen:
    names: tuple[str, ...]


SENTINEL = object()


class Inner(Toolkit):
    @tool
    def count(self) -> int:
        """Count."""
        return 0


def test_values_that_only_look_mutable_or_uncopyable_are_accepted() -> None:
    frozen = Frozen(("a", "b"))

    class Fine(Toolkit):
        _clone_shared_attrs = ("lock",)

        def __init__(self) -> None:
            self.pattern = re.compile("x")
            self.colour = Colour.RED
            self.when = datetime.now(UTC)
            self.path = Path("x")
            self.log = logging.getLogger("x")
            self.frozen = frozen
            self.kind = Target
            self.module = re
            self.sentinel = SENTINEL
            self.missing = SENTINEL
            self.nested = Inner()
            self.agent = Agent(model="test", toolkits=[Inner()])
            self.function = len
            self.partial = functools.partial(int, base=2)
            self.pure = lambda: frozen
            self.lock = threading.Lock()

    template = Fine()
    Agent(model="test", toolkits=[template]).check()
    clone = template.clone()
    assert clone.sentinel is SENTINEL
    assert clone.nested is not template.nested
    assert clone.agent.toolkits[0] is not template.agent.toolkits[0]
    assert clone.lock is template.lock
