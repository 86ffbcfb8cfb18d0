"""A host that records presses, for tests of how a channel reads them and answers them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.channels import Choice, ChoiceStyle, Interface, Press, PressOutcome, PressResult, QuestionCard

CARD_ID = "Zm9vYmFyLWZvb2Jhci1mbw"  # as long as the real ones
APPROVE, DECLINE = Choice("Approve", ChoiceStyle.PRIMARY), Choice("Decline", ChoiceStyle.DANGER)


def card(text: str = "May I?", *choices: Choice) -> QuestionCard:
    """Return a question, whether something may be done unless others are given."""
    return QuestionCard(CARD_ID, text, choices or (APPROVE, DECLINE), datetime.now(UTC) + timedelta(days=1))


@dataclass
class Pressed:
    """Stands between a channel and the gateway, and answers presses itself.

    Attributes:
        presses: those so far.
        outcome: of the next ones.
        sentence: that is said to them; by default, what their outcome is.
    """

    host: Any
    presses: list[Press] = field(default_factory=list)
    outcome: PressOutcome = PressOutcome.TAKEN
    sentence: str = ""

    @classmethod
    async def between(cls, interface: Interface) -> "Pressed":
        """Stand between a channel that runs and its gateway."""
        pressed = cls(interface.host)
        await interface.start(pressed)  # type: ignore[arg-type]
        return pressed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.host, name)

    async def press(self, press: Press) -> PressResult:
        self.presses.append(press)
        return PressResult(self.outcome, self.sentence or f"It is {self.outcome}.")
