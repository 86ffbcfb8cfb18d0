"""The rows of the outbox: transactions add them, and deliveries change their status."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.live import Preview, PreviewKind
from gateway.channels.question import QuestionCard
from gateway.inbox.accepting import new_reference
from gateway.inbox.claims import LeaseLostError
from gateway.inbox.inbox import MAX_DUE, Inbox
from gateway.outbox.cards import card_body
from gateway.outbox.unreported import wait_until
from gateway.outbox.unsent import Destination, PendingDelivery, unsent_in
from gateway.storage.database import Database
from gateway.storage.files import FileStore, StoredFile, attach_files
from gateway.storage.tables import (
    OutboxKind,
    OutboxStatus,
    conversations,
    is_any,
    outbox,
    pauses,
)
from oauth import Identity
from oauth.store.columns import Timestamp
from toolkits import Message, Template

POSTED = "Its recipient had it posted in the conversation."
CLOSED_BEFORE = "The question was closed before it was sent."

HELD_FOR = timedelta(days=1)  # a person who writes directly only later does not expect the answer any more

_now = bindparam("now", type_=Timestamp())
_is_due = is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED) & (outbox.c.due_at <= _now)
_due = select(outbox.c.id).where(_is_due).order_by(outbox.c.due_at).limit(MAX_DUE).with_for_update(skip_locked=True)

_ADD = insert(outbox)
_MARK = (
    update(outbox)
    .where(
        outbox.c.id == bindparam("row_id"),
        outbox.c.status == bindparam("known_status"),
        outbox.c.attempts == bindparam("known_attempts"),
    )
    .returning(outbox)
)
_RELEASE = (
    update(outbox)
    .where(
        is_any(outbox.c.status, OutboxStatus.HELD),
        outbox.c.recipient_tenant == bindparam("of_tenant"),
        outbox.c.recipient_user_id == bindparam("of_user_id"),
        func.coalesce(outbox.c.due_at, outbox.c.created_at) >= bindparam("oldest", type_=Timestamp()),
        outbox.c.conversation_id.in_(select(conversations.c.id).where(conversations.c.channel == bindparam("channel"))),
    )
    .values(status=OutboxStatus.WAITING, renewed_at=_now)
    .returning(outbox.c.conversation_id)
)
_RESUME_DUE = (
    update(outbox)
    .where(outbox.c.id.in_(_due))
    .values(
        status=OutboxStatus.WAITING,
        renewed_at=case((outbox.c.status == OutboxStatus.SCHEDULED, _now), else_=outbox.c.renewed_at),
    )
    .returning(outbox.c.conversation_id)
)
_NOTICE_OF = (
    select(outbox.c.id)
    .where(
        outbox.c.conversation_id == bindparam("of_conversation"),
        outbox.c.reference == bindparam("of_reference"),
        outbox.c.kind == OutboxKind.NOTICE,
    )
    .limit(1)
)
_LATE_TEMPLATE_SINCE = (
    select(outbox.c.id)
    .where(
        outbox.c.conversation_id == bindparam("of_conversation"),
        outbox.c.kind == OutboxKind.LATE_TEMPLATE,
        outbox.c.created_at >= bindparam("since", type_=Timestamp()),
    )
    .limit(1)
)
_HELD_FOR_NOTE = (
    select(outbox.c.id)
    .where(
        is_any(outbox.c.status, OutboxStatus.HELD),
        outbox.c.recipient_user_id == bindparam("of_user_id"),
        outbox.c.reference == bindparam("of_reference"),
    )
    .limit(1)
)


_NOT_SENT = (OutboxStatus.WAITING, OutboxStatus.RETRYING, OutboxStatus.HELD, OutboxStatus.LATE)
_CARDS = (
    select(outbox, conversations.c.channel)
    .join(conversations, conversations.c.id == outbox.c.conversation_id)
    .where(
        outbox.c.question_id == bindparam("of_question"),
        is_any(outbox.c.kind, OutboxKind.QUESTION, OutboxKind.PRIVATE_QUESTION, OutboxKind.PRIVATE_NOTE),
    )
    .order_by(outbox.c.id)
    .with_for_update(of=outbox)  # so that a delivery marks a card as sent either before or after this transaction
)


class InboxRow(Protocol):
    """What the outbox stores about the message that a row answers."""

    @property
    def id(self) -> int: ...
    @property
    def conversation_id(self) -> int: ...
    @property
    def reference(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a message that consists of files.

    Args:
        caption: the text that is sent with the files, rendered for the platform; it may be empty.
    """

    files: Sequence[StoredFile]
    caption: str = ""


Part = str | FilePart | Template
"""What one row sends: a text, rendered for the platform, files, or a template."""


class Outbox:
    """The transactional outbox: the rows of each conversation are sent in the order in which they were added.

    The body of a row is a JSON object. Its keys depend on the kind of the row:

    - text, files and notice: `text`, and `reply_to`, the id of the message that it replies to, or an empty string.
      Optional: `completes`, the platform's id of the preview that a text completes; `rated`, true in the last part of
      an agent's answer, which people may rate.
    - private text and private files: `text`, and `first`, whether it is the first part.
    - question and private question: the keys of a text or a private text, `choices`, each with its label and its style,
      and `until`, when the question closes.
    - closed question: `text`, and `card`, the id of the row that sent the card to replace.
    - private note: `reply_to`, and if it has a button, the keys of a question.
    - removal: `removes`, the platform's id of the preview to remove, or null if it is not known, and `since`, when the
      preview was begun.
    - template and late template: `text`, which is empty, `content_sid` and `variables`.
    - sign-in: the `tenant`, `user_id` and `name` of the person, the `provider`, and `reply_to`.
    """

    def __init__(self, database: Database, inbox: Inbox, files: FileStore) -> None:
        self._database = database
        self._inbox = inbox
        self._files = files

    async def add_parts(
        self,
        connection: AsyncConnection,
        answered: InboxRow,
        parts: Sequence[Part],
        reply_to: str,
        previews: Sequence[Preview] = (),
        *,
        by_agent: bool = False,
    ) -> None:
        """Add the parts of an answer in the transaction that ends its turn.

        Args:
            previews: the previews of the turn. Text parts complete those that showed the answer, and the others are
                removed.
            by_agent: whether an agent wrote the answer, so that people may rate it.
        """
        left = list(previews)
        for place, part in enumerate(parts, 1):
            kind, body = public(part, reply_to)
            preview = next((each for each in left if each.kind is PreviewKind.ANSWER and each.platform_id), None)
            if kind is OutboxKind.TEXT and preview is not None:
                body["completes"] = preview.platform_id
                left.remove(preview)
            if by_agent and place == len(parts):
                body["rated"] = True
            await self._add_answer(connection, answered, kind, body, part=part)
        await self.add_removals(connection, answered, left)

    async def add_removals(self, connection: AsyncConnection, answered: InboxRow, previews: Sequence[Preview]) -> None:
        """Add rows that remove previews of a turn."""
        for each in previews:
            body = {"removes": each.platform_id, "since": each.began_at.isoformat()}
            await self._add_answer(connection, answered, OutboxKind.REMOVAL, body)

    async def add_private_parts(
        self,
        connection: AsyncConnection,
        answered: InboxRow,
        identity: Identity,
        parts: Sequence[Part],
        reply_to: str,
        card: QuestionCard | None = None,
    ) -> None:
        """Add the parts of a private answer, and a note about it in the conversation where the person asked.

        Args:
            card: the button of the note, if it has one.
        """
        for place, part in enumerate(parts):
            await self._add_answer(connection, answered, *private(part, place), identity, part=part)
        await self.add_private_note(connection, answered, identity, reply_to, card)

    async def add_private_note(
        self,
        connection: AsyncConnection,
        answered: InboxRow,
        identity: Identity,
        reply_to: str,
        card: QuestionCard | None = None,
    ) -> None:
        """Add a note to the conversation that a private answer was sent to the person who asked."""
        body: dict[str, Any] = {"reply_to": reply_to}
        values: dict[str, Any] = {}
        if card is not None:
            body, values = body | card_body(card), {"question_id": card.id}
        await self._add_answer(connection, answered, OutboxKind.PRIVATE_NOTE, body, identity, **values)

    async def post_openly(
        self, connection: AsyncConnection, answered: InboxRow, reply_to: str, since: datetime
    ) -> None:
        """Add the parts of a private answer again, so that everybody in the conversation can read them.

        Args:
            since: when the private answer was added. Parts that were added earlier for the same message are not posted.
        """
        is_private = is_any(outbox.c.kind, OutboxKind.PRIVATE_TEXT, OutboxKind.PRIVATE_FILES)
        of_answer = (outbox.c.inbox_id == answered.id, is_private, outbox.c.created_at >= since)
        found = select(outbox).where(*of_answer).order_by(outbox.c.id).with_for_update()
        for row in (await connection.execute(found)).all():
            part: Part = json.loads(row.body)["text"]
            if row.kind == OutboxKind.PRIVATE_FILES:
                part = FilePart(await self._files.copy_sent(connection, row.id), str(part))
            if row.status == OutboxStatus.HELD:
                await self.mark_in(connection, row, OutboxStatus.DROPPED, error=POSTED)
            await self._add_answer(connection, answered, *public(part, reply_to), part=part)

    async def add_question(
        self,
        connection: AsyncConnection,
        answered: InboxRow,
        card: QuestionCard,
        parts: Sequence[str],
        reply_to: str,
        identity: Identity | None = None,
    ) -> None:
        """Add a question, as a private one if `identity` is given.

        Args:
            parts: the text of the question, in parts. The last part is the text of the card.
        """
        *before, last = parts
        for place, part in enumerate(before):
            kind, body = public(part, reply_to) if identity is None else private(part, place)
            await self._add_answer(connection, answered, kind, body, identity, question_id=card.id)
        body = card_body(replace(card, text=last))
        if identity is None:
            kind, body = OutboxKind.QUESTION, {**body, "reply_to": reply_to}
        else:
            kind, body = OutboxKind.PRIVATE_QUESTION, {**body, "first": not before}
        await self._add_answer(connection, answered, kind, body, identity, question_id=card.id)

    async def close_question(
        self, connection: AsyncConnection, question_id: str, text_in: Callable[[str], str | None]
    ) -> list[int]:
        """Have the sent cards of a question replaced, and drop the cards that are not sent yet.

        Args:
            text_in: returns the text that replaces a card in a channel; `None` if nothing can be sent there.

        Returns:
            The ids of the conversations to resume.
        """
        found = await connection.execute(_CARDS, {"of_question": question_id})
        conversation_ids = []
        for card in found.all():
            if card.status in _NOT_SENT:
                await self.mark_in(connection, card, OutboxStatus.DROPPED, error=CLOSED_BEFORE)
            elif _may_be_closed(card) and (text := text_in(card.channel)) is not None:
                body = {"text": text, "card": card.id}
                place = (card.conversation_id, card.inbox_id)
                values = {"reference": card.reference, "question_id": question_id}
                await add_row(connection, *place, OutboxKind.CLOSED_QUESTION, body, **values)
            conversation_ids.append(card.conversation_id)
        return list(dict.fromkeys(conversation_ids))

    async def card(self, row_id: int) -> Row[Any] | None:
        """Return the row that sent a card; `None` if it is gone."""
        async with self._database.read() as connection:
            return (await connection.execute(select(outbox).where(outbox.c.id == row_id))).first()

    async def add_sign_in(
        self,
        connection: AsyncConnection,
        answered: InboxRow,
        identity: Identity,
        name: str,
        provider: str,
        reply_to: str,
    ) -> None:
        """Add a sign-in link. Only its person and provider are stored: the link itself is made when it is sent."""
        body = {
            "tenant": identity.tenant,
            "user_id": identity.user_id,
            "name": name,
            "provider": provider,
            "reply_to": reply_to,
        }
        await self._add_answer(connection, answered, OutboxKind.SIGN_IN, body, identity)

    async def add_message(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        parts: Sequence[Part],
        at: datetime | None,
        private_to: Message | None = None,
    ) -> str:
        """Add the parts of a message that the bot sends on its own initiative.

        Args:
            at: when to send it; `None` for now.
            private_to: send it only to the sender of this message of the conversation, and add a note about it to the
                conversation.

        Returns:
            The reference of the new message.
        """
        reference = new_reference()
        when: dict[str, Any] = {} if at is None else {"status": OutboxStatus.SCHEDULED, "due_at": at}
        recipient = private_to.sender if private_to is not None else None

        async def add(kind: OutboxKind, body: object, part: Part = "") -> None:
            place = (connection, conversation_id, None)
            await add_row(*place, kind, body, recipient, part=part, reference=reference, **when)

        for place, part in enumerate(parts):
            await add(*(public(part, "") if private_to is None else private(part, place)), part)
        if private_to is not None:
            await add(OutboxKind.PRIVATE_NOTE, {"reply_to": private_to.id})
        return reference

    async def release(self, connection: AsyncConnection, identity: Identity) -> list[int]:
        """Queue the rows that were held for a person who can now be reached directly.

        Returns:
            The ids of the conversations to resume.
        """
        now = datetime.now(UTC)
        released = await connection.execute(
            _RELEASE,
            {
                "channel": identity.channel,
                "of_tenant": identity.tenant,
                "of_user_id": identity.user_id,
                "oldest": now - HELD_FOR,
                "now": now,
            },
        )
        return list(dict.fromkeys(released.scalars()))

    async def resume_due(self) -> None:
        """Queue the retries and the scheduled messages that are due."""
        async with self._database.write() as connection:
            resumed = await connection.execute(_RESUME_DUE, {"now": datetime.now(UTC)})
            committed = await self._inbox.resume(connection, list(dict.fromkeys(resumed.scalars())))
        committed()

    async def unsent(self, conversation_id: int) -> list[PendingDelivery]:
        """Return the unsent rows of a conversation, in order."""
        return await self._database.run_read(lambda connection: self.unsent_in(connection, conversation_id))

    async def unsent_in(self, connection: AsyncConnection, conversation_id: int) -> list[PendingDelivery]:
        """Do the same as `unsent` in the caller's transaction."""
        return await unsent_in(connection, conversation_id)

    async def files(self, row: Row[Any]) -> list[StoredFile]:
        """Return the files that a row sends."""
        async with self._database.read() as connection:
            return (await self._files.load_sent(connection, [row.id])).get(row.id, [])

    async def mark(self, row: Row[Any], status: OutboxStatus, **values: Any) -> Row[Any]:
        """Change the status and other values of a row, and return the changed row.

        Raises:
            LeaseLostError: if the row has changed since it was read, because another worker has taken it over.
        """
        return await self._database.run_write(lambda connection: self.mark_in(connection, row, status, **values))

    async def mark_in(
        self, connection: AsyncConnection, row: Row[Any], status: OutboxStatus, **values: Any
    ) -> Row[Any]:
        """Do the same as `mark` in the caller's transaction."""
        fence = {"row_id": row.id, "known_status": row.status, "known_attempts": row.attempts}
        marked = await connection.execute(_MARK.values(status=status, **values), fence)
        changed: Row[Any] | None = marked.first()
        if changed is None:
            raise LeaseLostError
        return changed

    async def hold_back(self, row: Row[Any], longest: timedelta) -> bool:
        """Have a row wait for the report that the one before it was sent. Return whether it has to wait.

        Args:
            longest: how long to wait, counted from when the row before it was sent.
        """
        async with self._database.write() as connection:
            until = await wait_until(connection, row.conversation_id, longest)
            if until is not None:
                await self.mark_in(connection, row, OutboxStatus.RETRYING, due_at=until, error=None)
        return until is not None

    async def give_up(self, row: Row[Any], reason: str, notice: Sequence[str] = (), **values: Any) -> None:
        """Make a row a dead letter.

        Args:
            notice: the parts of a notice that the message could not be delivered. It is added once for a message,
                however many of its rows are given up.
            values: other values to set in the row.

        Raises:
            LeaseLostError: see `mark`.
        """
        async with self._database.write() as connection:
            added = await self.give_up_in(connection, row, reason, notice, **values)
            committed = await self._inbox.resume(connection, [row.conversation_id] if added else [])
        committed()

    async def give_up_in(
        self, connection: AsyncConnection, row: Row[Any], reason: str, notice: Sequence[str] = (), **values: Any
    ) -> bool:
        """Do the same as `give_up` in the caller's transaction. Return whether the notice was added."""
        await self.mark_in(connection, row, OutboxStatus.DEAD, error=reason, **values)
        same = {"of_conversation": row.conversation_id, "of_reference": row.reference}
        if notice and (await connection.execute(_NOTICE_OF, same)).first() is not None:
            notice = ()
        for text in notice:
            body = {"text": text, "reply_to": ""}
            place = (row.conversation_id, row.inbox_id)
            await add_row(connection, *place, OutboxKind.NOTICE, body, reference=row.reference)
        return bool(notice)

    async def put_off_until_written(self, row: Row[Any], destination: Destination, template: Template) -> None:
        """Put a row off until somebody writes in its conversation.

        Args:
            template: what tells the person about it. It is sent once, however many rows are put off.

        Raises:
            LeaseLostError: see `mark`.
        """
        since = destination.last_accepted_at or datetime.fromtimestamp(0, UTC)
        told = {"of_conversation": row.conversation_id, "since": since}
        async with self._database.write() as connection:
            await self.mark_in(connection, row, OutboxStatus.LATE)
            is_told = (await connection.execute(_LATE_TEMPLATE_SINCE, told)).first() is not None
            if not is_told:
                place, kind = (row.conversation_id, row.inbox_id), OutboxKind.LATE_TEMPLATE
                await add_row(connection, *place, kind, _template_body(template), reference=row.reference)
            committed = await self._inbox.resume(connection, [] if is_told else [row.conversation_id])
        committed()

    async def pause(self, channel: str, tenant: str, place: str, until: datetime) -> None:
        """Send nothing to the conversations in a place until the given time.

        Args:
            place: the id of a conversation, or of the chat that it is in; empty for the whole tenant.
        """
        key = {"channel": channel, "tenant": tenant, "key": place}
        upsert = self._database.upsert(pauses).values(**key, until=until)
        async with self._database.write() as connection:
            await connection.execute(upsert.on_conflict_do_update(index_elements=[*key], set_={"until": until}))

    async def is_held(self, note: Row[Any]) -> bool:
        """Return whether a part of the private message that a note is about is held until its recipient writes."""
        text = {"of_user_id": note.recipient_user_id, "of_reference": note.reference}
        async with self._database.read() as connection:
            return (await connection.execute(_HELD_FOR_NOTE, text)).first() is not None

    async def _add_answer(
        self,
        connection: AsyncConnection,
        answered: InboxRow,
        kind: OutboxKind,
        body: object,
        recipient: Identity | None = None,
        part: Part = "",
        **values: Any,
    ) -> None:
        place = (answered.conversation_id, answered.id)
        await add_row(connection, *place, kind, body, recipient, part=part, reference=answered.reference, **values)


async def add_row(
    connection: AsyncConnection,
    conversation_id: int,
    inbox_id: int | None,
    kind: OutboxKind,
    body: object,
    recipient: Identity | None = None,
    part: Part = "",
    **values: Any,
) -> None:
    """Add a row. It waits to be sent, unless `values` has another status."""
    row = {
        "conversation_id": conversation_id,
        "inbox_id": inbox_id,
        "kind": kind,
        "body": json.dumps(body, ensure_ascii=False),
        "status": OutboxStatus.WAITING,
        "attempts": 0,
        "created_at": datetime.now(UTC),
        "recipient_tenant": recipient and recipient.tenant,
        "recipient_user_id": recipient and recipient.user_id,
        **values,
    }
    added = await connection.execute(_ADD, row)
    if isinstance(part, FilePart):
        assert added.inserted_primary_key is not None
        await attach_files(connection, added.inserted_primary_key[0], part.files)


def _may_be_closed(card: Row[Any]) -> bool:
    """Return whether a card can be replaced: its message has a platform id, or gets one if it is being sent now."""
    return card.status == OutboxStatus.SENDING or (card.status == OutboxStatus.SENT and card.platform_id is not None)


def public(part: Part, reply_to: str) -> tuple[OutboxKind, dict[str, Any]]:
    """Return the kind and the body of a row that everybody in the conversation reads."""
    if isinstance(part, Template):
        return OutboxKind.TEMPLATE, _template_body(part)
    kind, text = (OutboxKind.FILES, part.caption) if isinstance(part, FilePart) else (OutboxKind.TEXT, part)
    return kind, {"text": text, "reply_to": reply_to}


def _template_body(template: Template) -> dict[str, Any]:
    return {"text": "", "content_sid": template.content_sid, "variables": template.variables}


def template_of(row: Row[Any]) -> Template:
    """Return the template that a row sends."""
    body = json.loads(row.body)
    return Template(body["content_sid"], body["variables"])


def private(part: Part, place: int) -> tuple[OutboxKind, object]:
    """Return the kind and the body of a private row.

    Args:
        place: the index of the part in its message.
    """
    assert not isinstance(part, Template), "channels with templates have no shared conversations"
    if isinstance(part, FilePart):
        return OutboxKind.PRIVATE_FILES, {"text": part.caption, "first": place == 0}
    return OutboxKind.PRIVATE_TEXT, {"text": part, "first": place == 0}
