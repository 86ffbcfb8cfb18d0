"""The LLM loop is not ours: engines run it, behind one protocol, found by entry point."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, cast

from gateway.agent import Agent
from gateway.events import EventHandler
from gateway.sessions import SessionItem
from oauth import SettingError
from toolkits import TurnContext

ENTRY_POINTS = "understudy.engines"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to: the text, in markdown, and the items it adds to the history."""

    text: str
    items: Sequence[SessionItem]


class Engine(Protocol):
    """Runs an agent on one message."""

    def check(self, agent: Agent) -> None:
        """Proves, at start-up, that the agent and its members can run.

        Raises:
            SettingError: naming the model that cannot be had, and why.
        """
        ...

    async def run(
        self,
        agent: Agent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
    ) -> Answer:
        """Runs a copy of an agent.

        Args:
            agent: a deep copy, for this turn alone.
            text: the message.
            context: handed to every tool that asks for it.
            history: what went before in the conversation.
            handler: is told what happens.
            stream: whether the handler wants the text as it is written.

        Raises:
            ConsentRequired: if a tool needs an account that the person has not connected.
        """
        ...


def load_engine(name: str) -> Engine:
    """The engine of that name, imported now: that may take a second.

    Raises:
        SettingError: if no installed package has it.
    """
    for found in entry_points(group=ENTRY_POINTS, name=name):
        return cast(Engine, found.load()())
    raise SettingError(f"There is no engine called {name!r}: install the package that has it.")
