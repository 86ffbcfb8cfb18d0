"""Wrong declarations of a class about its clones are refused."""

import functools

import pytest

from gateway import Agent, CloneError
from toolkits import Toolkit


@pytest.mark.parametrize("declaration", ["_clone_reset_attrs", "_clone_shared_attrs"])
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("client", "'client' is a string"),  # a comma is missing, and "client" has the name "lie" in it
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


def test_a_declared_attribute_may_be_made_later_if_the_class_names_it() -> None:
    class Late(Toolkit):
        _clone_reset_attrs = ("annotated", "default", "made")
        annotated: str
        default: str | None = None

        @functools.cached_property
        def made(self) -> list[str]:
            return []

    Agent(model="test", toolkits=[Late()]).check()
