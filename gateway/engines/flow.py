"""The engine of flows, which are async functions that call agents."""

import inspect
from collections.abc import Sequence
from dataclasses import replace

from gateway.runs.engine import Answer, RunnableAgent
from gateway.runs.events import EventHandler
from gateway.runs.flow import play_flow
from gateway.runs.flow_turn import FlowTurn
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from gateway.runs.session import Session
from oauth import SettingError
from toolkits import Attachment, Message, QuotedMessage, TurnContext


class FlowEngine:
    """Runs flows. The agents that a flow calls run on their own engines."""

    def check(self, agent: RunnableAgent) -> None:
        name = getattr(agent.native, "__name__", repr(agent.native))
        if not inspect.iscoroutinefunction(agent.native):
            raise SettingError(f"The flow {name} is not an async function: write `async def {name}(message)`.")
        if agent.mcp_servers or agent.toolkits:
            raise SettingError(f"The flow {name} cannot have tools: give tools to the agents that it calls.")

    async def run(
        self,
        agent: RunnableAgent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        attachments: Sequence[Attachment] = (),
        quoted: Sequence[QuotedMessage] = (),
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        if max_turns is not None:
            raise ValueError(f"{agent.name} is a flow, which asks no model itself: set max_turns on the calls in it")
        message = replace(context.message, text=text, attachments=tuple(attachments), quoted=tuple(quoted))
        session, team = Session(history), list(agent.template.team())
        turn = FlowTurn(context, handler, journal, streams=stream, team=team)
        answer = await play_flow(agent.native, message, turn, session)
        return Answer(answer, [_as_stored(item, message) for item in session.added], list(turn.unread), turn.files)


def _as_stored(item: SessionItem, message: Message) -> SessionItem:
    """Return an item as it is stored. A text that the flow wrote for an agent gets the role `TOOL`.

    Other people's turns would otherwise read it as a message of the person.
    """
    is_own = item.role is not Role.USER or item.text == message.text
    return item if is_own else replace(item, role=Role.TOOL)
