"""Flows: agents that are plain async functions, and call others."""

import inspect
from collections.abc import Sequence
from dataclasses import replace

from gateway.runs.engine import Answer, RunnableAgent
from gateway.runs.events import EventHandler
from gateway.runs.flow import FlowTurn, play
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from gateway.runs.session import Session
from oauth import SettingError
from toolkits import Message, TurnContext


class FlowEngine:
    """Runs a flow. The agents that it calls are run by their own engines."""

    def check(self, agent: RunnableAgent) -> None:
        if not inspect.iscoroutinefunction(agent.native):
            name = getattr(agent.native, "__name__", repr(agent.native))
            raise SettingError(f"{name} is no async function, as a flow has to be: write `async def {name}(message)`.")
        if agent.mcp_servers or agent.toolkits:
            raise SettingError(f"Agent({agent.native!r}) is a flow: give tools to the agents that it calls.")

    async def run(
        self,
        agent: RunnableAgent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        if max_turns is not None:
            raise ValueError(f"{agent.name} is a flow: give max_turns to the calls in it")
        message = context.message if text == context.message.text else replace(context.message, text=text)
        session, team = Session(history), list(agent.template.team())
        turn = FlowTurn(context, handler, journal, streams=stream, team=team)
        answer = await play(agent.native, message, turn, session)
        return Answer(answer, [_as_stored(item, message) for item in session.added])


def _as_stored(item: SessionItem, message: Message) -> SessionItem:
    """What a flow told its agents is not what the person said: nobody else reads it as that."""
    is_own = item.role is not Role.USER or item.text == message.text
    return item if is_own else replace(item, role=Role.TOOL)
