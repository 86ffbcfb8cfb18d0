"""Attributes that cannot be cloned, or would be shared by mistake, are refused by name."""

import contextvars
import functools
import json
import re
import sqlite3
import threading
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import Agent, CloneError, Gateway
from toolkits import Toolkit


def closure() -> Callable[[], list[int]]:
    found: list[int] = []
    return lambda: found


def closure_over(found: object) -> Callable[[], object]:
    return lambda: found


class DecoderWithState(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []


class Shy:
    def __deepcopy__(self, memo: dict[int, Any]) -> "Shy":
        return self


class Target:
    pass


LONG_LIVED = Target()


UNCLONABLE: dict[str, Callable[[], object]] = {
    "a lock": threading.Lock,
    "a file": lambda: Path(__file__).open(),  # noqa: SIM115
    "a database connection": lambda: sqlite3.connect(":memory:"),
    "an HTTP client": httpx.Client,
    "an async HTTP client": httpx.AsyncClient,
    "a generator": lambda: (number for number in [1]),
    "a context variable whose default is a list": lambda: contextvars.ContextVar[list[int]]("person", default=[]),  # noqa: B039
    "a read-only view of a lock": lambda: types.MappingProxyType({"lock": threading.Lock()}),
    "a closure over a read-only view of a list": lambda: closure_over(types.MappingProxyType({"deep": [1]})),
    "a JSON decoder that fills a list": lambda: json.JSONDecoder(object_hook=[1].append),
    "a JSON decoder with state of its own": DecoderWithState,
    "a thread-local": threading.local,
    "an lru_cache": lambda: functools.lru_cache(len),
    "a closure over a list": closure,
    "a method of a builtin": lambda: [1].append,
    "what copies to itself": Shy,
    "a weak reference": lambda: weakref.ref(LONG_LIVED),
    "what holds a lock": lambda: {"deep": [threading.Lock()]},
    "what holds what copies to itself": lambda: {"deep": [Shy()]},
}


@pytest.mark.parametrize("make", UNCLONABLE.values(), ids=UNCLONABLE.keys())
def test_attributes_that_cannot_be_cloned_are_refused_by_name(make: Callable[[], object], tmp_path: Path) -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.held = make()

    agent = Agent(model="test", toolkits=[Holder()])
    with pytest.raises(CloneError, match=r"Holder\.held cannot be cloned"):
        Gateway(agent, database=f"sqlite:///{tmp_path}/x.db")


class Transport:
    def __init__(self) -> None:
        self.adapters = {"https://": [threading.Lock()]}


class Client:
    def __init__(self) -> None:
        self._session = Transport()


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (Client, "self.client._session.adapters['https://'][0], 'lock' cannot be copied"),
        (lambda: types.SimpleNamespace(deep=(1, Shy())), "self.client.deep[1], it would share a 'Shy'"),
        (lambda: [1].append, "self.client.__self__, it would share a 'list'"),
        (closure, "self.client.__closure__[0].cell_contents, it would share a 'list'"),
        (lambda: types.MappingProxyType({"a": threading.Lock()}), "self.client['a'], 'lock' cannot be copied"),
    ],
)
def test_a_refusal_names_the_path_inside_the_attribute(make: Callable[[], object], where: str) -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.client = make()

    with pytest.raises(CloneError, match=re.escape(where)):
        Agent(model="test", toolkits=[Holder()]).check()


def test_a_reset_attribute_whose_first_value_cannot_be_made_again_is_refused_by_name() -> None:
    class Holder(Toolkit):
        _clone_reset_attrs = ("held",)

        def __init__(self) -> None:
            self.held = threading.Lock()

    with pytest.raises(CloneError, match=r"Holder\.held"):
        Agent(model="test", toolkits=[Holder()]).check()


def test_a_lambda_over_self_is_refused() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.cache: dict[str, str] = {}
            self.get = lambda name: self.cache[name]

    with pytest.raises(CloneError, match=r"Holder\.get"):
        Agent(model="test", toolkits=[Holder()]).check()
