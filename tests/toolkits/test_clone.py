import contextvars
import enum
import functools
import ipaddress
import json
import logging
import random
import re
import sqlite3
import struct
import threading
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import jinja2
import pytest
import sqlalchemy
from pydantic import HttpUrl

from gateway import Agent, CloneError, Gateway
from toolkits import Toolkit, tool


class Counter(Toolkit):
    _clone_reset_attrs = ("cache", "client")
    _clone_shared_attrs = ("registry",)

    def __init__(self, registry: list[str]) -> None:
        self.cache: dict[str, list[int]] = {"first": [1]}
        self.client: str | None = None
        self.registry = registry
        self.options = {"depth": [1, 2]}
        self.remember = self._remember

    def _remember(self, value: int) -> None:
        self.cache["first"].append(value)

    @tool
    def count(self) -> int:
        """Counts."""
        return len(self.cache["first"])


class Eager(Counter):
    def __init__(self) -> None:
        super().__init__([])
        self.cache["second"] = [2]


class Slotted(Toolkit):
    __slots__ = ("value",)
    _clone_reset_attrs = ("value",)

    def __init__(self) -> None:
        self.value = [1]


def test_a_reset_attribute_has_the_value_that_it_had_when_init_returned() -> None:
    template = Counter([])
    template.cache["first"].append(9)
    template.client = "somebody's"
    clone = template.clone()
    assert clone.cache == {"first": [1]}
    assert clone.client is None
    clone.cache["first"].append(5)
    assert template.clone().cache == {"first": [1]}


def test_what_a_subclass_does_after_super_init_is_part_of_the_initial_value() -> None:
    assert Eager().clone().cache == {"first": [1], "second": [2]}


def test_an_attribute_that_init_did_not_make_is_not_there_in_a_clone() -> None:
    class Late(Toolkit):
        _clone_reset_attrs = ("token",)
        token: str | None = None

    template = Late()
    template.token = "somebody's"
    assert template.clone().token is None


def test_slots_are_attributes_too() -> None:
    template = Slotted()
    template.value.append(2)
    assert template.clone().value == [1]


def test_shared_attributes_are_shared_and_all_others_are_copied() -> None:
    registry: list[str] = []
    template = Counter(registry)
    clone = template.clone()
    assert clone.registry is registry
    assert clone.options == template.options
    assert clone.options["depth"] is not template.options["depth"]


def test_a_bound_method_is_bound_to_the_clone() -> None:
    template = Counter([])
    clone = template.clone()
    clone.remember(7)
    assert clone.cache == {"first": [1, 7]}
    assert template.cache == {"first": [1]}


def test_functions_are_bound_to_the_clone_and_share_their_definition() -> None:
    template = Counter([])
    clone = template.clone()
    assert clone.functions["count"].toolkit is clone
    assert clone.functions["count"].definition is template.functions["count"].definition
    assert template.functions["count"].clone_for(clone).toolkit is clone


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
def test_what_cannot_be_cloned_is_refused_by_name(make: Callable[[], object], tmp_path: Path) -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.held = make()

    agent = Agent(model="test", toolkits=[Holder()])
    with pytest.raises(CloneError, match=r"Holder\.held cannot be cloned"):
        Gateway(agent, database=f"sqlite:///{tmp_path}/x.db")


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
def test_what_cannot_change_or_can_be_copied_is_accepted(make: Callable[[], object]) -> None:
    class Holder(Toolkit):
        _clone_reset_attrs = ("also",)

        def __init__(self) -> None:
            self.held = make()
            self.also = make()

    template = Holder()
    Agent(model="test", toolkits=[template]).check()
    clone = template.clone()
    assert type(clone.held) is type(clone.also) is type(template.held)


def test_a_template_is_the_same_after_a_check_and_a_clone_of_a_clone_has_its_own_values() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.view = types.MappingProxyType({"a": [1]})

    template = Holder()
    before = {name: repr(value) for name, value in vars(template).items()}
    Agent(model="test", toolkits=[template]).check()
    first = template.clone()
    first.clone().view["a"].append(2)
    assert first.view == template.view == {"a": [1]}
    assert {name: repr(value) for name, value in vars(template).items()} == before


def test_a_read_only_view_is_of_a_copy_of_what_it_shows() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.names = {"a": [1]}
            self.view = types.MappingProxyType(self.names)

    template = Holder()
    clone = template.clone()
    clone.names["a"].append(2)
    assert clone.view["a"] == [1, 2]
    assert template.view["a"] == [1]


def test_a_schema_is_shared_and_not_copied() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.tables = [notes]

    assert Holder().clone().tables[0] is notes


def test_a_template_of_a_clone_renders_and_has_an_environment_of_its_own() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.environment = templates
            self.template = templates.get_template("greeting")

    clone = Holder().clone()
    clone.environment.filters["upper"] = str.lower
    clone.environment.globals["name"] = "Ada"
    assert clone.template.render() == "Hello ada!"
    assert templates.get_template("greeting").render() == "Hello !"


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
def test_a_refusal_says_where_in_the_attribute_the_reason_is(make: Callable[[], object], where: str) -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.client = make()

    with pytest.raises(CloneError, match=re.escape(where)):
        Agent(model="test", toolkits=[Holder()]).check()


@pytest.mark.parametrize("declaration", ["_clone_reset_attrs", "_clone_shared_attrs"])
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("client", "'client' is one string"),  # a comma is missing, and "client" has the name "lie" in it
        (("client", "cleint"), "Holder has no attribute 'cleint'"),
    ],
)
def test_a_wrong_declaration_is_refused(declaration: str, names: object, reason: str) -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.client: str | None = None
            self.lie: list[str] = []

    setattr(Holder, declaration, names)
    with pytest.raises(CloneError, match=rf"Holder\.{declaration} is wrong: {reason}"):
        Agent(model="test", toolkits=[Holder()]).check()


def test_a_wrong_declaration_of_an_agents_subclass_is_refused() -> None:
    class Special(Agent):
        _clone_shared_attrs = (*Agent._clone_shared_attrs, "cleint")

    with pytest.raises(CloneError, match=r"Special has no attribute 'cleint'"):
        Special(model="test").check()


def test_a_wrong_declaration_of_a_toolkit_inside_another_one_is_refused() -> None:
    class Inner(Toolkit):
        _clone_shared_attrs = "client"

        def __init__(self) -> None:
            self.c: list[str] = []

    class Outer(Toolkit):
        def __init__(self) -> None:
            self.inner = Inner()

    with pytest.raises(CloneError, match=r"Inner\._clone_shared_attrs is wrong"):
        Agent(model="test", toolkits=[Outer()]).check()


def test_what_is_declared_may_be_made_later_if_the_class_says_its_name() -> None:
    class Late(Toolkit):
        _clone_reset_attrs = ("annotated", "default", "made")
        annotated: str
        default: str | None = None

        @functools.cached_property
        def made(self) -> list[str]:
            return []

    Agent(model="test", toolkits=[Late()]).check()


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


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Frozen:
    names: tuple[str, ...]


SENTINEL = object()


def test_what_only_looks_suspicious_is_accepted() -> None:
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
            self.nested = Counter([])
            self.agent = Agent(model="test", toolkits=[Counter([])])
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


@pytest.mark.parametrize("wrong", [lambda self: self, lambda self: Target(), lambda self: 1 / 0])
def test_a_wrong_clone_method_is_refused_by_name(wrong: Callable[[Any], Any]) -> None:
    class Holder(Toolkit):
        clone = wrong

    with pytest.raises(CloneError, match=r"Holder\.clone\(\)"):
        Agent(model="test", toolkits=[Holder()]).check()


def test_a_clone_method_that_forgets_an_attribute_is_refused_by_name() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.cache: dict[str, str] = {}

        def clone(self) -> "Holder":
            clone = Holder()
            clone.cache = self.cache
            return clone

    with pytest.raises(CloneError, match=r"Holder\.cache"):
        Agent(model="test", toolkits=[Holder()]).check()


def test_deep_copy_refuses_by_itself() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.held = threading.Lock()

    with pytest.raises(CloneError, match=r"Holder\.held"):
        Agent(model="test", toolkits=[Holder()]).deep_copy()


def test_a_copy_of_a_team_is_a_copy_of_its_members_and_shares_the_model() -> None:
    model = object()
    member = Agent(model=model, toolkits=[Counter([])])
    lead = Agent(model=model, members=[member])
    copy = lead.deep_copy()
    assert copy.model is model
    assert copy.members[0].model is model
    assert copy.members[0] is not member
    assert copy.members[0].toolkits[0] is not member.toolkits[0]


def test_a_copy_clones_a_toolkit_when_it_is_first_used_and_then_keeps_it() -> None:
    cloned: list[Toolkit] = []

    class Watched(Toolkit):
        @tool(name="look")
        def look(self) -> str:
            """Looks."""
            return ""

        def clone(self) -> "Watched":
            clone = super().clone()
            cloned.append(clone)
            return clone

    agent = Agent(model="test", toolkits=[Watched(), Counter([])])
    agent.check()
    cloned.clear()
    copy = agent.deep_copy()
    assert cloned == []
    assert copy.function("count").toolkit is copy.function("count").toolkit
    assert cloned == []
    assert copy.function("look").toolkit is cloned[0]
    assert copy.toolkits[0] is cloned[0]
    assert copy.toolkits[1] is copy.function("count").toolkit
    assert len(cloned) == 1


def test_a_clone_is_given_nothing_of_the_tools_before_they_are_asked_for() -> None:
    template = Counter([])
    assert template.functions
    assert set(vars(template.clone())) == {"cache", "client", "registry", "options", "remember", "_initial_values"}


def test_a_subclass_of_agent_has_its_own_attributes_copied() -> None:
    class Special(Agent):
        def __init__(self) -> None:
            super().__init__(model="test")
            self.notes: list[str] = []

    template = Special()
    copy = template.deep_copy()
    copy.notes.append("x")
    assert template.notes == []
    assert copy.deep_copy().notes == []


def test_an_attribute_of_an_agents_subclass_that_cannot_be_copied_is_refused_by_name() -> None:
    class Special(Agent):
        def __init__(self) -> None:
            super().__init__(model="test")
            self.lock = threading.Lock()

    with pytest.raises(CloneError, match=r"Special\.lock"):
        Special().check()


def test_a_toolkit_may_call_its_own_attributes_as_it_likes(tmp_path: Path) -> None:
    class Weather(Toolkit):
        def __init__(self) -> None:
            self.name = "weather"
            self.auth = "an API key"
            self.provider = "https://weather.test"

    template = Weather()
    Gateway(Agent(model="test", toolkits=[template]), database=f"sqlite:///{tmp_path}/x.db")
    assert template.clone().auth == "an API key"
