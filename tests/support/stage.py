"""The stage of `gateway.testing`, and the toolkits and timings that our own tests put on it."""

from dataclasses import replace

from pydantic_ai.messages import ModelMessage, TextPart, UserPromptPart

from gateway import TurnContext
from gateway.testing import (
    STAGE_TIMINGS,
    TENANT,
    FakeProvider,
    RecordingPresenter,
    Sent,
    Stage,
    StageChannel,
    obey,
    place,
    stage,
    stage_timings,
)
from toolkits import Toolkit, tool

__all__ = [
    "CANCEL",
    "IMPATIENT",
    "STAGE_TIMINGS",
    "TENANT",
    "FakeProvider",
    "Orders",
    "RecordingPresenter",
    "Sent",
    "Stage",
    "StageChannel",
    "Vault",
    "obey",
    "place",
    "stage",
    "stage_timings",
    "texts_told",
]

IMPATIENT = replace(STAGE_TIMINGS, longest_pause=0.01, due_interval=0.02)  # what failed is tried again at once
CANCEL = 'call cancel {"order":"4711"}'


def texts_told(messages: list[ModelMessage]) -> list[str]:
    """Return the texts of people and agents that a model was told."""
    parts = (part for message in messages for part in message.parts)
    return [str(part.content) for part in parts if isinstance(part, (UserPromptPart, TextPart))]


class Vault(Toolkit):
    """Holds a secret of each person."""

    _clone_shared_attrs = ("auth",)
    private = True
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def open_vault(self, context: TurnContext) -> str:
        """Opens it."""
        return str(await context.credentials("fake", {"read"}))


class Orders(Toolkit):
    """Has orders, which are cancelled if their person agrees."""

    _clone_shared_attrs = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    @tool(approval=True)
    async def cancel(self, order: str) -> str:
        """Cancels an order."""
        self.cancelled.append(order)
        return f"cancelled {order}"
