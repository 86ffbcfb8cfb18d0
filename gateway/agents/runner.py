"""Run agents in scripts and tests, without a gateway."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.agents.agent import FLOW, Agent
from gateway.executor import equip_loop
from gateway.runs.anonymous import anonymous_context
from gateway.runs.engine import check_engine
from gateway.runs.events import TurnEvent, TurnHandler, ignore
from gateway.runs.flow import Flow, play_flow
from gateway.runs.flow_turn import FlowTurn
from gateway.runs.journal import NO_JOURNAL
from gateway.runs.session import Session
from toolkits import Message

Handler = Callable[[TurnEvent], Any]
"""A function or an async function that gets the events of a run."""


class Runner:
    """Runs a flow or an agent without a gateway, for tests and scripts. Tools get no account.

    Args:
        flow: the flow, or the agent.
        session: the history that all runs read and write; by default, each run begins with an empty history.
        handler: gets the events of each run.

    Raises:
        SettingError: if the flow is not an async function, or one of its agents cannot run.
    """

    def __init__(self, flow: Flow | Agent, *, session: Session | None = None, handler: Handler | None = None) -> None:
        self._agent = flow if isinstance(flow, Agent) else Agent(flow)
        for member in self._agent.team():
            check_engine(member)
        self._session = session
        self._handler = handler

    async def __call__(self, message: Message | str) -> str:
        """Answer a message: see `run`."""
        return await self.run(message)

    async def run(self, message: Message | str) -> str:
        """Answer a message.

        The running event loop gets an executor that carries context variables into its threads, and keeps it.

        Args:
            message: a text; or a message, whose sender and conversation the tools see.

        Returns:
            The answer, in markdown.
        """
        equip_loop()
        agent, context = self._agent, anonymous_context(message if isinstance(message, str) else message.text)
        if isinstance(message, Message):
            context = replace(context, message=message, identity=message.sender, conversation=message.conversation)
        flow: Flow = agent.native if agent.engine == FLOW else lambda given: agent(given).stream()
        turn = FlowTurn(context, TurnHandler(ignore, self._tell), NO_JOURNAL, streams=True)
        return await play_flow(flow, context.message, turn, self._session, self._handler)

    async def _tell(self, event: TurnEvent) -> None:
        result = self._handler(event) if self._handler is not None else None
        if inspect.isawaitable(result):
            await result
