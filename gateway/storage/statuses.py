"""The values of the status and kind columns of the tables."""

from enum import StrEnum


class InboxStatus(StrEnum):
    #: A piece of a message of which no piece addresses the bot yet, or an edit that arrived before its message. It is
    #: removed at `due_at`.
    HELD = "held"
    #: More pieces of the message may arrive until `due_at`. Later messages of the conversation wait.
    GATHERING = "gathering"
    #: Accepted or resumed, and ready for its turn.
    WAITING = "waiting"
    #: Its turn is running.
    RUNNING = "running"
    #: Its turn failed and is tried again at `due_at`. The conversation does not wait.
    RETRYING = "retrying"
    #: Answered in the turn of the message `turn_id`, and ends with it.
    JOINED = "joined"
    #: Waits for its sender's consent. The conversation does not wait.
    PARKED = "parked"
    #: Waits for the answer to a question. The conversation does not wait.
    ASKED = "asked"
    #: Answered.
    DONE = "done"
    #: A dead letter: given up. Its sender was told so, with the reference.
    DEAD = "dead"
    #: A dead letter: it waited so long that nobody expects an answer any more.
    EXPIRED = "expired"
    #: A dead letter that an operator dropped, or a message that was deleted before its turn.
    DROPPED = "dropped"


class QuestionKind(StrEnum):
    #: Whether a tool may make a call.
    APPROVAL = "approval"
    #: A question of a tool, a flow or a command. The turn runs again with the answer.
    ASK = "ask"
    #: Whether a private answer should be posted in the conversation. Only the press of a button answers it.
    POST_HERE = "post_here"


class QuestionStatus(StrEnum):
    #: To be asked once the person's earlier question is closed.
    QUEUED = "queued"
    #: Asked, and not answered yet.
    ASKED = "asked"
    #: Answered. The answer never changes.
    ANSWERED = "answered"
    #: Taken back, because the person wrote something else or could not be asked.
    WITHDRAWN = "withdrawn"
    #: Not answered in time.
    EXPIRED = "expired"


class OutboxStatus(StrEnum):
    #: Not sent yet.
    WAITING = "waiting"
    #: The platform is being called. After a crash, nobody knows whether the platform took the message.
    SENDING = "sending"
    #: Not sent: it is tried again at `due_at`, or waits until then for the report that the row before it was sent.
    #: Later rows of the conversation wait.
    RETRYING = "retrying"
    #: To be sent at `due_at`. The conversation does not wait.
    SCHEDULED = "scheduled"
    #: The platform took it.
    SENT = "sent"
    #: Private, and the person cannot be reached: it is sent when the person writes to the bot directly.
    HELD = "held"
    #: The time within which the platform takes it has passed: it is sent when the person writes.
    LATE = "late"
    #: A dead letter: the platform refused it, or was unavailable for too long.
    DEAD = "dead"
    #: A dead letter that an operator dropped.
    DROPPED = "dropped"


class DeliveryStatus(StrEnum):
    """What a platform has reported about a message that it took. A later member replaces an earlier one.

    A message that arrived although the platform reported a failure, as happens with several devices, counts as arrived.
    """

    #: The platform has it.
    QUEUED = "queued"
    #: It is on its way to the person. The next message of the conversation cannot overtake it.
    SENT = "sent"
    #: It cannot be delivered.
    FAILED = "failed"
    #: It is on a device of the person.
    DELIVERED = "delivered"
    #: The person has seen it.
    READ = "read"

    def replaces(self, earlier: str | None) -> bool:
        """Return whether a report of this status says more than an earlier one; `None` if there is none."""
        order = list(DeliveryStatus)
        return earlier is None or order.index(self) > order.index(DeliveryStatus(earlier))


class OutboxKind(StrEnum):
    #: A text, in the platform's own format.
    TEXT = "text"
    #: A text that only one person may read.
    PRIVATE_TEXT = "private_text"
    #: Files, with a caption.
    FILES = "files"
    #: Files that only one person may see, with a caption.
    PRIVATE_FILES = "private_files"
    #: A note in a shared conversation that an answer was sent to one person.
    PRIVATE_NOTE = "private_note"
    #: The card of a question: the last part of its text, with the choices.
    QUESTION = "question"
    #: The card of a question that only one person may read.
    PRIVATE_QUESTION = "private_question"
    #: The text that replaces the card of a closed question.
    CLOSED_QUESTION = "closed_question"
    #: A notice that something could not be delivered.
    NOTICE = "notice"
    #: A sign-in link. It is made when it is sent, so that no link is stored.
    SIGN_IN = "sign_in"
    #: The removal of a preview.
    REMOVAL = "removal"
    #: A message that is made of a template.
    TEMPLATE = "template"
    #: The template that tells a person of rows that are `late`.
    LATE_TEMPLATE = "late_template"
