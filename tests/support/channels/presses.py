"""A host that records presses, for tests of how channels read and answer them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.channels import Choice, ChoiceStyle, Interface, Press, PressOutcome, PressResult, QuestionCard

CARD_ID = "Zm9vYmFyLWZvb2Jhci1mbw"  # as long as the real ones
APPROVE, DECLINE = Choice("Approve", ChoiceStyle.PRIMARY), Choice("Decline", ChoiceStyle.DANGER)


def card(text: str = "May I?", *choices: Choice) -> QuestionCard:
    """Return a question with these choices, or without any with the choices of an approval."""
    return QuestionCard(CARD_ID, text, choices or (APPROVE, DECLINE), datetime.now(UTC) + timedelta(days=1))


@dataclass
class Pressed:
    """A host between a channel and its gateway, which answers presses itself and forwards everything else.

    Attributes:
        presses: the presses so far.
        outcome: the outcome of the next presses.
        sentence: the sentence that answers them; if empty, it names the outcome.
    """

    host: Any
    presses: list[Press] = field(default_factory=list)
    outcome: PressOutcome = PressOutcome.TAKEN
    sentence: str = ""

    @classmethod
    async def between(cls, interface: Interface) -> "Pressed":
        """Put a host between a running channel and its gateway, and return it."""
        pressed = cls(interface.host)
        await interface.start(pressed)  # type: ignore[arg-type]
        return pressed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.host, name)

    async def press(self, press: Press) -> PressResult:
        self.presses.append(press)
        return PressResult(self.outcome, self.sentence or f"It is {self.outcome}.")
