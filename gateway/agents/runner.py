"""Running agents in scripts and tests, without a gateway."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.agents.agent import FLOW, Agent
from gateway.executor import equip_loop
from gateway.runs.anonymous import anonymous_context
from gateway.runs.engine import load_engine
from gateway.runs.events import TurnEvent, TurnHandler, ignore
from gateway.runs.flow import Flow, play_flow
from gateway.runs.flow_turn import FlowTurn
from gateway.runs.journal import NO_JOURNAL
from gateway.runs.session import Session
from toolkits import Message

Handler = Callable[[TurnEvent], Any]
"""Receives the events of a run: a function or a coroutine function."""


class Runner:
    """Runs a flow or an agent without a gateway, for tests and scripts. It uses nobody's account.

    Args:
        session: the history that runs read and write, kept from run to run; unless given, each run begins with none.
        handler: receives the events of each run.

    Raises:
        SettingError: if the flow is not an async function, or an agent that it calls cannot run.
    """

    def __init__(self, flow: Flow | Agent, *, session: Session | None = None, handler: Handler | None = None) -> None:
        self._agent = flow if isinstance(flow, Agent) else Agent(flow)
        for member in self._agent.team():
            load_engine(member.engine).check(member)
        self._session = session
        self._handler = handler

    async def __call__(self, message: Message | str) -> str:
        """Answer a message: see `run`."""
        return await self.run(message)

    async def run(self, message: Message | str) -> str:
        """Answer a message.

        The running loop gets an executor that carries context variables into its threads, and keeps it.

        Args:
            message: a text, or a message whose sender the tools see.

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
