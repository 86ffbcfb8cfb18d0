"""Agents that record the history of each call, for tests of flows."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent
from support.stage import texts_told


@dataclass
class ReadingAgents:
    """Make agents that answer a message with `NAME(message)`.

    Attributes:
        by_call: the texts of the history that each call got, by the answer of the call.
        gates: the event for which an agent waits before it answers, by the name of the agent.
    """

    by_call: dict[str, list[str]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    def agent(self, name: str) -> Agent:
        """Make an agent with a name."""

        async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            said = texts_told(messages)
            call = f"{name}({said[-1]})"
            self.by_call[call] = said[:-1]
            if name in self.gates:
                await self.gates[name].wait()
            return ModelResponse([TextPart(call)])

        return Agent(model=FunctionModel(answer), name=name)


def texts(items: Any) -> list[str]:
    return [item.text for item in items]


def reader(name: str = "one") -> Agent:
    """Return an agent that answers a message with `NAME(message)`."""
    return ReadingAgents().agent(name)
