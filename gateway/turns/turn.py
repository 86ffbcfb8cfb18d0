"""One turn: what it is about, and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.agents.agent import Agent
from gateway.channels.interface import Interface
from gateway.channels.presenter import Presenter
from gateway.inbox.claims import ClaimedMessage
from gateway.inbox.dispatch import TurnSlot
from gateway.outbox.previews import TurnPreviews
from gateway.runs.items import SessionItem
from gateway.runs.journal import AnswerRequiredError
from gateway.storage.tables import InboxStatus
from gateway.turns.journal import TurnJournal
from gateway.turns.questions.question import GivenAnswer, Question
from oauth import ConsentRequiredError
from toolkits import File, Message


@dataclass(frozen=True, slots=True)
class Turn:
    """A claimed message that is being answered.

    Args:
        row: the message as it is stored; its lease fences what the turn writes.
        message: the message as the channel reads it, without the command that chose the agent.
        agent: the template of which a copy answers.
        journal: what earlier runs of this turn have done.
        previews: the messages that show it while it runs.
        slot: the place among the turns that run at once. It is freed as soon as the agent has answered.
    """

    row: ClaimedMessage
    message: Message
    agent: Agent
    interface: Interface
    journal: TurnJournal
    previews: TurnPreviews
    slot: TurnSlot

    @property
    def presenter(self) -> Presenter:
        """The presenter of the turn's channel."""
        return self.interface.presenter

    def about(self, message: Message) -> "Turn":
        """Return the turn, about another message."""
        return replace(self, message=message)


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """What a turn comes to. It is written in one transaction.

    Args:
        text: what is said, in markdown.
        items: what is added to the session.
        files: are sent with the text.
        by_agent: whether the text and the files are an agent's, which people may rate.
        private: whether the text, the files and the items are for the sender alone.
        alone: whether the text goes to the sender alone even where private answers are posted openly.
        sign_in: the provider that a sign-in link is sent for.
        parked: what the message waits for, if it does not end.
        answers: the question that the message answers, and the answer; `None` as the answer asks the question again.
        status: how the message's row ends, unless the message is parked.
        retry: whether the message is tried again instead.
        error: why the turn failed, if it did.
    """

    text: str = ""
    items: list[SessionItem] = field(default_factory=list)
    files: Sequence[File] = ()
    by_agent: bool = False
    private: bool = False
    alone: bool = False
    sign_in: str | None = None
    parked: ConsentRequiredError | AnswerRequiredError | None = None
    answers: tuple[Question, GivenAnswer | None] | None = None
    status: InboxStatus = InboxStatus.DONE
    retry: bool = False
    error: str = ""

    @property
    def is_answered(self) -> bool:
        """Return whether the message ends here as answered: it did not fail and waits for nothing."""
        return self.status is InboxStatus.DONE and self.parked is None
