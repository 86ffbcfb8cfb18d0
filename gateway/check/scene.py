"""The tools that a leak check calls together, and the outcome of one turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.agents.agent import Agent
from gateway.check.people import Person
from gateway.check.scripted import ToolInfo

SEVERAL = "(several tools at once)"


@dataclass(frozen=True, slots=True)
class Scene:
    """Tools that several rounds of turns call: one tool, or all tools of a toolkit at once.

    Args:
        owner: the class of the toolkit, or the name of an agent that is written for a framework.
    """

    number: int
    agent: Agent
    owner: str
    tools: Sequence[ToolInfo]

    @property
    def tool(self) -> str:
        return self.tools[0].name if len(self.tools) == 1 else SEVERAL


@dataclass
class ObservedTurn:
    """What was seen of one turn, and how it ended.

    Args:
        given: everything that the person, the model and the event handler received.
        retried: whether the model was told that its arguments did not fit.
    """

    person: Person
    given: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    retried: bool = False
