"""A clone of a toolkit has the initial state, and shares what is declared shared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        """Count."""
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


def test_changes_of_a_subclass_after_super_init_are_part_of_the_initial_value() -> None:
    assert Eager().clone().cache == {"first": [1], "second": [2]}


def test_a_clone_lacks_attributes_that_init_did_not_make() -> None:
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


class Target:
    pass


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


def test_a_clone_makes_its_functions_only_when_they_are_needed() -> None:
    template = Counter([])
    assert template.functions
    assert set(vars(template.clone())) == {"cache", "client", "registry", "options", "remember", "_initial_values"}


def test_a_toolkit_may_use_any_names_for_its_attributes(tmp_path: Path) -> None:
    class Weather(Toolkit):
        def __init__(self) -> None:
            self.name = "weather"
            self.auth = "an API key"
            self.provider = "https://weather.test"

    template = Weather()
    Gateway(Agent(model="test", toolkits=[template]), database=f"sqlite:///{tmp_path}/x.db")
    assert template.clone().auth == "an API key"
