import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.agents.agent import FLOW, Agent
from gateway.executor import equip_loop
from gateway.runs.engine import load_engine
from gateway.runs.events import TurnEvent, TurnHandler
from gateway.runs.flow import Flow, FlowTurn, nobody, play
from gateway.runs.journal import NO_JOURNAL
from gateway.runs.session import Session
from toolkits import Message

Handler = Callable[[TurnEvent], Any]
"""Is told what happens in a turn: a function, or a coroutine function."""


class Runner:
    """Runs a flow, or an agent, outside any channel: for tests and scripts.

    Args:
        session: what it reads and writes, kept from run to run; each run stands alone unless given.
        handler: is told what happens.

    Raises:
        SettingError: if the flow is no async function, or something stands against an agent that it calls.
    """

    def __init__(self, flow: Flow | Agent, *, session: Session | None = None, handler: Handler | None = None) -> None:
        self._agent = flow if isinstance(flow, Agent) else Agent(flow)
        for member in self._agent.team():
            load_engine(member.engine).check(member)
        self._session = session
        self._handler = handler

    async def __call__(self, message: Message | str) -> str:
        """Answers a message, as `run` does."""
        return await self.run(message)

    async def run(self, message: Message | str) -> str:
        """Answers a message. From then on, the running loop's default executor carries a flow's context.

        Args:
            message: a text, or a message whose sender the tools are told of. No account is used for it.

        Returns:
            The answer, in markdown.
        """
        equip_loop()
        agent, context = self._agent, nobody(message if isinstance(message, str) else message.text)
        if isinstance(message, Message):
            context = replace(context, message=message, identity=message.sender, conversation=message.conversation)
        flow: Flow = agent.native if agent.engine == FLOW else lambda given: agent(given).stream()
        turn = FlowTurn(context, TurnHandler(_ignore, self._tell), NO_JOURNAL, streams=True, given=self._handler)
        return await play(flow, context.message, turn, self._session)

    async def _tell(self, event: TurnEvent) -> None:
        result = self._handler(event) if self._handler is not None else None
        if inspect.isawaitable(result):
            await result


async def _ignore(_: TurnEvent) -> None:
    return
