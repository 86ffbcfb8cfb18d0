"""The stage of `gateway.testing`, with toolkits and timings for the tests of this project."""

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
    "connect_vault",
    "obey",
    "place",
    "stage",
    "stage_timings",
    "texts_told",
]

# Retries follow almost at once, and nothing waits for reports.
IMPATIENT = replace(STAGE_TIMINGS, longest_pause=0.01, due_interval=0.02, sent_report=0.01)
CANCEL = 'call cancel {"order":"4711"}'


def texts_told(messages: list[ModelMessage]) -> list[str]:
    """Return the texts of people and agents in the messages that a model got."""
    parts = (part for message in messages for part in message.parts)
    return [str(part.content) for part in parts if isinstance(part, (UserPromptPart, TextPart))]


class Vault(Toolkit):
    """A toolkit with a tool that returns the person's credential, which is a secret."""

    _clone_shared_attrs = ("auth",)
    private = True
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def open_vault(self, context: TurnContext) -> str:
        """Open the vault."""
        return str(await context.credentials("fake", {"read"}))


async def connect_vault(scene: Stage, person: str) -> None:
    """Have a person open the vault, and connect the account that it asks for."""
    before = len(scene.sent)
    await scene.write(person, "call open_vault")
    await scene.connect((await scene.wait_for(before + 1))[before].link, person)
    await scene.wait_for(before + 2)


class Orders(Toolkit):
    """A toolkit with a tool that needs the person's approval."""

    _clone_shared_attrs = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    @tool(approval=True)
    async def cancel(self, order: str) -> str:
        """Cancel an order."""
        self.cancelled.append(order)
        return f"cancelled {order}"
