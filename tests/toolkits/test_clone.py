import contextvars
import enum
import functools
import logging
import re
import sqlite3
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

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
    "a context variable": lambda: contextvars.ContextVar("person"),
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
