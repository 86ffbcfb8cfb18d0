"""Agents are copied as toolkits are cloned."""

import threading

import pytest

from gateway import Agent, CloneError
from toolkits import Toolkit, tool


class Counter(Toolkit):
    @tool
    def count(self) -> int:
        """Count."""
        return 0


def test_deep_copy_refuses_a_toolkit_that_cannot_be_cloned() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.held = threading.Lock()

    with pytest.raises(CloneError, match=r"Holder\.held"):
        Agent(model="test", toolkits=[Holder()]).deep_copy()


def test_a_copy_of_a_team_is_a_copy_of_its_members_and_shares_the_model() -> None:
    model = object()
    member = Agent(model=model, toolkits=[Counter()])
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
            """Look."""
            return ""

        def clone(self) -> "Watched":
            clone = super().clone()
            cloned.append(clone)
            return clone

    agent = Agent(model="test", toolkits=[Watched(), Counter()])
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
