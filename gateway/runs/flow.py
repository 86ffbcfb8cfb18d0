"""Flows: plain async functions that call agents."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from gateway.runs.agent_call import AgentCall
from gateway.runs.events import TurnEvent
from gateway.runs.flow_turn import (
    FlowTurn,
    context_variables,
    current_handler,
    current_in_phase,
    current_phase_session,
    current_session,
    current_turn,
)
from gateway.runs.items import Role, SessionItem
from gateway.runs.session import Session
from toolkits import Message

Flow = Callable[[Message], Awaitable[Any]]
"""A function that answers a message. The answer is `str()` of the result, in markdown; `None` is an empty answer."""


async def play_flow(
    flow: Flow,
    message: Message,
    turn: FlowTurn,
    session: Session | None,
    handler: Callable[[TurnEvent], Any] | None = None,
) -> str:
    """Run a flow on a message in a turn, and return its answer.

    The message and the answer are added to the session, unless the flow's calls have written them already.

    Args:
        handler: the value of `current_handler` in the flow; by default the turn's handler.

    Raises:
        TypeError: if the flow returned a call that it had not awaited.
    """
    first = session.begin() if session is not None else []
    known = len(session.added) if session is not None else 0
    variables: dict[ContextVar[Any], Any] = {
        current_turn: turn,
        current_session: session,
        current_handler: handler or turn.handler,
        current_phase_session: None,
        current_in_phase: False,
    }
    with context_variables(variables):
        try:
            result = await flow(message)
        finally:
            turn.is_over = True
    if isinstance(result, AgentCall):
        result.close()
        raise TypeError(f"the flow returned a {result!r} that it had not awaited: write `return await …`")
    answer = "" if result is None else str(result)
    if session is not None:
        added = session.added[known:]
        if not any(item.role is Role.USER and item.text == message.text for item in added):
            first.append(SessionItem(Role.USER, message.text))
        said = [item.text for item in added if item.role is Role.ASSISTANT]
        if said[-1:] != [answer]:
            session.begin().append(SessionItem(Role.ASSISTANT, answer))
    return answer
