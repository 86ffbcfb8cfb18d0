"""A channel that records what it is asked to send, instead of calling a platform."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from gateway.channels import DeliveryRefusedError, Interface, Presenter, QuestionCard, ReturnLink, SignIn, StoredFile
from gateway.runs.events import TurnEvent
from oauth import Identity
from toolkits import Attachment, Conversation, Message, QuotedKind, QuotedMessage

CHANNEL = "stage"
TENANT = "T1"
LONGEST_CAPTION = 100  # characters
REFUSED_TYPE = "application/x-refused"  # a media type of files that the channel does not take


@dataclass
class Sent:
    """Something that the channel was asked to send.

    Args:
        conversation: the id of the conversation; for a private answer, of the conversation in which the person asked.
        text: the part of an answer.
        sign_in: the request to sign in, which has no text.
        link: the sign-in link itself.
        alone: the user id of the only person to whom it was sent; `None` if everybody in the conversation reads it.
        files: the content of each file that was sent with the text, by the name of the file.
        card: the question, if it is one; `text` is the text of the card.
    """

    conversation: str
    text: str = ""
    sign_in: SignIn | None = None
    link: str = ""
    alone: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    card: QuestionCard | None = None


class RecordingPresenter(Presenter):
    """A presenter that records what it is asked to send.

    Args:
        streams: whether turns stream their text, so that `shown` has `TextDelta` events.

    Attributes:
        sent: what was sent, oldest first. The platform's id of a text is `p` and its number in this list, from `p1`.
        failures: errors to raise, one per call of `send_text`, `send_question` or `send_files`.
        closed: the text that replaced each question, by the platform's id of its message: `q0` for the first question,
            `n0` for the first note.
        notes: private notes: the conversation's id, the user id, and whether the person was reached.
        note_cards: the buttons of private notes that have one.
        unreachable: the user ids of people to whom nothing can be sent directly.
        emails: by user id, the address that the platform vouches for; by default `USER_ID@fake.test`.
        shown: the events of turns, each with the id of the turn's message.
        observed: the events of turns, also those that are not shown.
    """

    def __init__(self, *, streams: bool) -> None:
        self.streams = streams  # type: ignore[misc]
        self.sent: list[Sent] = []
        self.failures: list[Exception] = []
        self.closed: dict[str, str] = {}
        self.note_cards: list[QuestionCard] = []
        self.notes: list[tuple[str, str, bool]] = []
        self.unreachable: set[str] = set()
        self.emails: dict[str, str | None] = {}
        self.shown: list[tuple[str, TurnEvent]] = []
        self.observed: list[TurnEvent] = []

    async def vouched_email(self, identity: Identity) -> str | None:
        return self.emails.get(identity.user_id, f"{identity.user_id}@fake.test")

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        address = f"https://stage.test/{identity.user_id}"
        return ReturnLink(address if code is None else f"{address}?start={code}", "the stage", brings_code=True)

    async def show(self, message: Message, event: TurnEvent) -> None:
        self.shown.append((message.id, event))

    def observe(self, message: Message, event: TurnEvent) -> None:
        self.observed.append(event)

    def parts(self, markdown: str) -> list[str]:
        return [markdown]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(Sent(conversation.id, text))
        return f"p{len(self.sent)}"

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        if self.failures:
            raise self.failures.pop(0)
        return self._sent_card(Sent(conversation.id, card.text, card=card))

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        if identity.user_id in self.unreachable:
            raise DeliveryRefusedError("never wrote to the bot")
        return self._sent_card(Sent(conversation.id, card.text, alone=identity.user_id, card=card))

    def _sent_card(self, sent: Sent) -> str:
        platform_id = f"q{sum(each.card is not None for each in self.sent)}"
        self.sent.append(sent)
        return platform_id

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        self.closed[platform_id] = text

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str:
        if identity.user_id in self.unreachable:
            raise DeliveryRefusedError("never wrote to the bot")
        self.sent.append(Sent(conversation.id, text, alone=identity.user_id))
        return f"p{len(self.sent)}"

    def check_file(self, file: StoredFile) -> None:
        if file.media_type == REFUSED_TYPE:
            raise DeliveryRefusedError("The stage does not take this type.")

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return LONGEST_CAPTION

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(Sent(conversation.id, caption, files=await _read(files)))

    async def send_private_files(
        self,
        identity: Identity,
        conversation: Conversation,
        files: Sequence[StoredFile],
        caption: str,
        *,
        first: bool,
        key: str,
    ) -> None:
        if identity.user_id in self.unreachable:
            raise DeliveryRefusedError("never wrote to the bot")
        self.sent.append(Sent(conversation.id, caption, alone=identity.user_id, files=await _read(files)))

    async def send_private_note(
        self,
        identity: Identity,
        conversation: Conversation,
        reply_to: str,
        *,
        reached: bool,
        card: QuestionCard | None = None,
    ) -> str | None:
        self.notes.append((conversation.id, identity.user_id, reached))
        if card is not None:
            self.note_cards.append(card)
        return f"n{len(self.notes) - 1}"

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        return conversation.id == f"dm-{identity.user_id}"

    async def send_sign_in(self, sign_in: SignIn) -> None:
        self.sent.append(Sent(sign_in.conversation.id, sign_in=sign_in, link=await sign_in.link()))


async def _read(files: Sequence[StoredFile]) -> dict[str, bytes]:
    return {file.name: await file.read() for file in files}


class StageChannel(Interface):
    """A channel without webhooks. `Stage.write` makes its payloads, which are JSON objects.

    Args:
        name: the name of one of several such channels.

    Attributes:
        attachments: the attachments of messages, by the names that payloads use.
    """

    channel = CHANNEL
    address = "/stage"
    presenter: RecordingPresenter

    def __init__(self, *, streams: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.presenter = RecordingPresenter(streams=streams)
        self.attachments: dict[str, Attachment] = {}

    def routes(self) -> Sequence[BaseRoute]:
        return []

    async def parse(self, payload: str) -> Message | None:
        fields = json.loads(payload)
        return Message(
            id=fields["id"],
            text=fields["text"],
            sender=Identity(self.channel, fields["tenant"], fields["person"]),
            sender_name=fields["person"].capitalize(),
            conversation=place(fields["place"], fields["tenant"], self.channel),
            attachments=tuple(self.attachments[name] for name in fields.get("attachments", ())),
            quoted=tuple(QuotedMessage(QuotedKind(kind), **each) for kind, each in fields.get("quoted", ())),
            command=fields.get("command"),
            argument=fields.get("argument", ""),
            anonymous=fields.get("anonymous", False),
            locale=fields.get("locale", ""),
            timezone=fields.get("timezone", ""),
        )


def place(name: str, tenant: str = TENANT, channel: str = CHANNEL) -> Conversation:
    """Return a conversation on the stage. If its name begins with `dm`, it is direct, and otherwise shared."""
    return Conversation(channel, tenant, name, shared=not name.startswith("dm"))
