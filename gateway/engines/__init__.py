"""The LLM loop is not ours: engines run it, behind one protocol, found by entry point."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol

from gateway.agent import Agent
from gateway.events import EventHandler
from gateway.journal import NO_JOURNAL, RunJournal
from gateway.native import ENGINES
from gateway.sessions import SessionItem
from oauth import SettingError
from toolkits import TurnContext


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to: the text, in markdown, and the items it adds to the history."""

    text: str
    items: Sequence[SessionItem]


class MaxTurnsExceeded(Exception):  # noqa: N818
    """A call was to ask its model so many times at most, and there is no answer yet."""

    def __init__(self, agent: Agent, limit: int | None) -> None:
        super().__init__(f"{agent.name} has no answer after {limit} turns")


class Engine(Protocol):
    """Runs agents on messages. One serves a whole process and keeps nothing of any run."""

    def check(self, agent: Agent) -> None:
        """Proves, at start-up, that the agent can run. Its members are checked by their own engines.

        Raises:
            SettingError: naming what stands against it, like a model that cannot be had.
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
        journal: RunJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        """Runs a copy of an agent.

        Args:
            agent: a deep copy, for this turn alone.
            text: the message.
            context: handed to every tool that asks for it.
            history: what went before in the conversation.
            handler: is told what happens.
            stream: whether the handler wants the text as it is written.
            journal: what earlier runs of the same turn have done: the engine goes on from there, and repeats no call.
            max_turns: how often the model is asked at most; as the framework has it, unless given.

        Raises:
            ConsentRequired: if a tool needs an account that the person has not connected. An engine that makes a
                result for the model of what a tool raises is stopped by the turn, which knows.
            MaxTurnsExceeded: if the model was asked `max_turns` times, and there is no answer.
        """
        ...


@cache
def load_engine(name: str) -> Engine:
    """The engine of that name, imported now: that may take a second.

    Raises:
        SettingError: if no installed package has it, or a package that it needs is not installed.
    """
    for found in entry_points(group=ENGINES, name=name):
        try:
            engine: Engine = found.load()()
        except ImportError as error:
            raise SettingError(
                f"The engine {name!r} needs a package that is not installed ({error}): "
                f"pip install 'understudy[{name}]'."
            ) from error
        return engine
    installed = ", ".join(sorted(found.name for found in entry_points(group=ENGINES)))
    raise SettingError(f"There is no engine called {name!r}, only {installed}: Agent(engine=…) names one of these.")
