"""One turn, and its outcome."""

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
from gateway.turns.usage import TurnUsage
from oauth import ConsentRequiredError
from toolkits import File, Message


@dataclass(frozen=True, slots=True)
class Turn:
    """A claimed message that is being answered.

    Args:
        row: the stored message. Its lease fences what the turn writes.
        message: the message as the channel reads it, without the command that chose the agent.
        agent: the template of the copy that answers.
        journal: the record of this turn's earlier runs.
        previews: the record of this turn's previews.
        slot: a slot of the turns that may run at once. It is freed as soon as the agent has answered.
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
        """Return a copy of the turn with another message."""
        return replace(self, message=message)


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """The outcome of a turn. It is written in one transaction.

    Args:
        text: the answer, in markdown.
        items: the items that are added to the session.
        files: the files that are sent with the text.
        by_agent: whether an agent wrote the answer, so that people may rate it.
        private: whether only the sender may read the text, the files and the items.
        only_to_sender: whether the text goes only to the sender, even if private answers are posted openly.
        sign_in: the provider to which the sender gets a sign-in link.
        parked: what the message waits for, if it is parked.
        answers: the question that the message answers, and the answer. If the answer is `None`, the question is asked
            again.
        status: the final status of the message's row, unless the message is parked.
        retry: whether the message is tried again instead.
        error: why the turn failed, if it did.
        usage: what the run of the agent has used.
    """

    text: str = ""
    items: list[SessionItem] = field(default_factory=list)
    files: Sequence[File] = ()
    by_agent: bool = False
    private: bool = False
    only_to_sender: bool = False
    sign_in: str | None = None
    parked: ConsentRequiredError | AnswerRequiredError | None = None
    answers: tuple[Question, GivenAnswer | None] | None = None
    status: InboxStatus = InboxStatus.DONE
    retry: bool = False
    error: str = ""
    usage: TurnUsage = field(default_factory=TurnUsage)

    @property
    def is_answered(self) -> bool:
        """Whether the message ends as answered: it did not fail, and does not wait for anything."""
        return self.status is InboxStatus.DONE and self.parked is None
