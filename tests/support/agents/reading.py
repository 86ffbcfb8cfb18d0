"""Agents that record what they are told, for tests of flows."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent
from support.stage import texts_told


@dataclass
class ReadingAgents:
    """Makes agents that answer `NAME(text)`.

    Attributes:
        by_call: the texts of the history that each call read, by its answer.
        gates: events that the agent of that name waits for before it answers.
    """

    by_call: dict[str, list[str]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    def agent(self, name: str) -> Agent:
        """Make an agent."""

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
    """Return an agent that answers `NAME(text)`."""
    return ReadingAgents().agent(name)
