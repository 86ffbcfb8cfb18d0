import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import StrayExitError, exits_contained
from gateway.channels.errors import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    RecipientUnreachableError,
    RetryLaterError,
)
from gateway.channels.presenter import Delivery, Presenter, SignIn
from gateway.inbox.accepting import new_reference
from gateway.inbox.claims import TOO_OLD, LeaseLostError
from gateway.inbox.inbox import MOST_DUE, Inbox
from gateway.logs import describe
from gateway.retries import next_try
from gateway.settings import AmbiguousSends
from gateway.storage.database import Database
from gateway.storage.tables import OutboxKind, OutboxStatus, conversations, is_any, is_unsent, outbox, pauses
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth import Identity, OAuthCoordinator
from oauth.store.columns import Timestamp
from toolkits import Conversation, Message

HELD_FOR = timedelta(days=1)  # a person who writes later does not expect the answer any more

UNDELIVERED = "Sorry, I had something to say here that could not be delivered (reference {reference})."
DROPPED_AMBIGUOUS = "It is not known whether it arrived, and UNDERSTUDY_AMBIGUOUS_SENDS is drop."

MOST_REPORTED = 1000  # messages of which it is known that a failure of a part was logged

_TEXTS = (OutboxKind.TEXT, OutboxKind.PRIVATE_TEXT, OutboxKind.NOTICE)

log = logging.getLogger(__name__)


class Answered(Protocol):
    """The row of a message that something answers."""

    @property
    def id(self) -> int: ...
    @property
    def conversation_id(self) -> int: ...
    @property
    def reference(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """A conversation, when somebody last wrote there, and until when its tenant asked for a pause."""

    conversation: Conversation
    last_accepted_at: datetime | None
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A row that waits to be sent.

    Args:
        begun: whether it is marked as being sent by who has this, and is not sent yet.
    """

    row: Row[Any]
    where: Destination
    begun: bool = False


_UNSENT = (
    select(
        outbox,
        conversations.c.channel,
        conversations.c.tenant,
        conversations.c.key,
        conversations.c.shared,
        conversations.c.last_accepted_at,
        pauses.c.until,
    )
    .join(conversations, conversations.c.id == outbox.c.conversation_id)
    .outerjoin(pauses, (pauses.c.channel == conversations.c.channel) & (pauses.c.tenant == conversations.c.tenant))
    .where(outbox.c.conversation_id == bindparam("conversation_id"), is_unsent)
    .order_by(outbox.c.id)
)
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
    .values(status=OutboxStatus.WAITING, renewed_at=bindparam("now"))
    .returning(outbox.c.conversation_id)
)
_ADD = insert(outbox)
_NOTICE = (
    select(outbox.c.id)
    .where(
        outbox.c.conversation_id == bindparam("of_conversation"),
        outbox.c.reference == bindparam("of_reference"),
        outbox.c.kind == OutboxKind.NOTICE,
    )
    .limit(1)
)


class Outbox:
    """The transactional outbox: what is to be sent, in order per conversation.

    Args:
        presenters: one per channel.
        oauth: makes the sign-in links; `None` where no toolkit needs an account.
        tries: how often one delivery is tried before it is a dead letter.
        oldest: how old something may be that is still sent.
        ambiguous_sends: what becomes of a text of which it is not known whether it was sent.
    """

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        presenters: Mapping[str, Presenter],
        oauth: OAuthCoordinator | None,
        *,
        tries: int,
        oldest: timedelta,
        ambiguous_sends: AmbiguousSends,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        self._database = database
        self._inbox = inbox
        self._presenters = presenters
        self._oauth = oauth
        self._tries = tries
        self._oldest = oldest
        self._ambiguous_sends = ambiguous_sends
        self._reported: deque[tuple[Any, ...]] = deque(maxlen=MOST_REPORTED)

    async def add_texts(
        self,
        connection: AsyncConnection,
        answered: Answered,
        texts: Sequence[str],
        reply_to: str,
    ) -> None:
        """Adds the parts of an answer in the transaction that ends its turn."""
        for text in texts:
            body = {"text": text, "reply_to": reply_to}
            await self._answer(connection, answered, OutboxKind.TEXT, body)

    async def add_private_texts(
        self,
        connection: AsyncConnection,
        answered: Answered,
        identity: Identity,
        texts: Sequence[str],
        reply_to: str,
    ) -> None:
        """Adds the parts of an answer that is for one person alone, and a note where they asked."""
        for place, text in enumerate(texts):
            body = {"text": text, "first": place == 0}
            await self._answer(connection, answered, OutboxKind.PRIVATE_TEXT, body, identity)
        body = {"reply_to": reply_to}
        await self._answer(connection, answered, OutboxKind.PRIVATE_NOTE, body, identity)

    async def release(self, connection: AsyncConnection, identity: Identity) -> list[int]:
        """Lets go what was held for a person, who can be reached now; returns the conversations it is sent from."""
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

    async def add_sign_in(
        self,
        connection: AsyncConnection,
        answered: Answered,
        identity: Identity,
        name: str,
        provider: str,
        reply_to: str,
    ) -> None:
        """Adds a sign-in link. What is stored is for whom and for what; the link itself is made when it is sent."""
        body = {
            "tenant": identity.tenant,
            "user_id": identity.user_id,
            "name": name,
            "provider": provider,
            "reply_to": reply_to,
        }
        await self._answer(connection, answered, OutboxKind.SIGN_IN, body, identity)

    async def add_message(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        texts: Sequence[str],
        at: datetime | None,
        alone: Message | None = None,
    ) -> str:
        """Adds the parts of a message that answers none.

        Args:
            at: when it is sent, if not now.
            alone: a message from the conversation whose sender alone it is for; a note there says so.

        Returns:
            Its reference.
        """
        reference = new_reference()
        when: dict[str, Any] = {} if at is None else {"status": OutboxStatus.SCHEDULED, "due_at": at}
        recipient = alone.sender if alone is not None else None

        async def add(kind: OutboxKind, body: object) -> None:
            await self._add(connection, conversation_id, None, kind, body, recipient, reference=reference, **when)

        for place, text in enumerate(texts):
            if alone is None:
                await add(OutboxKind.TEXT, {"text": text, "reply_to": ""})
            else:
                await add(OutboxKind.PRIVATE_TEXT, {"text": text, "first": place == 0})
        if alone is not None:
            await add(OutboxKind.PRIVATE_NOTE, {"reply_to": alone.id})
        return reference

    async def begin(self, connection: AsyncConnection, conversation_id: int) -> list[PendingDelivery]:
        """What waits in a conversation, in order; the first is marked as being sent if it can go at once.

        That is done in the transaction that adds it, and saves one.
        """
        unsent = await _unsent(connection, conversation_id)
        if unsent and self._can_go(unsent[0]):
            row, where = unsent[0].row, unsent[0].where
            marked = await self._mark_in(connection, row, OutboxStatus.SENDING, attempts=row.attempts + 1, error=None)
            unsent[0] = PendingDelivery(marked, where, begun=True)
        return unsent

    async def deliver(self, conversation_id: int, unsent: Sequence[PendingDelivery] | None = None) -> None:
        """Sends what waits in a conversation, in order, up to something that has to be tried again later.

        Args:
            unsent: what waits there, where that is known.
        """
        if unsent is None:
            unsent = await self._database.run_read(lambda connection: _unsent(connection, conversation_id))
        try:
            for each in unsent:
                row, where = each.row, each.where
                if row.status == OutboxStatus.RETRYING:
                    return
                if not await (self._attempt(row, where) if each.begun else self._deliver(row, where)):
                    return
        except LeaseLostError:
            log.warning("another worker has taken over what is sent to conversation %s", conversation_id)

    async def resume_due(self) -> None:
        """Lets deliveries go on whose time has come: to be tried again, or to be sent at all."""
        now = datetime.now(UTC)
        due = (
            select(outbox.c.id)
            .where(is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED), outbox.c.due_at <= now)
            .order_by(outbox.c.due_at)
            .limit(MOST_DUE)
        )
        async with self._database.write() as connection:
            scheduled = outbox.c.status == OutboxStatus.SCHEDULED
            resumed = await connection.execute(
                update(outbox)
                .where(outbox.c.id.in_(due.with_for_update(skip_locked=True)))
                .values(status=OutboxStatus.WAITING, renewed_at=case((scheduled, now), else_=outbox.c.renewed_at))
                .returning(outbox.c.conversation_id)
            )
            committed = await self._inbox.resume(connection, list(dict.fromkeys(resumed.scalars())))
        committed()

    async def _deliver(self, row: Row[Any], where: Destination) -> bool:
        """Sends one row; returns whether the next may follow."""
        if row.status == OutboxStatus.SENDING:  # its process died while it was sending
            row = await self._mark(row, OutboxStatus.SENDING, ambiguous=True)
        if where.conversation.channel not in self._presenters:
            return await self._put_off(row, where)
        if (until := _pause_of(where)) is not None:
            return await self._retry(row, until, row.error, row.attempts)
        if (reason := self._reason_against(row, where)) is not None:
            return await self._give_up(row, where, reason)
        again = False
        if row.ambiguous:
            try:
                with exits_contained("the platform's library"):
                    was_sent = await self._look_up(row, where)
            except RetryLaterError as error:  # of the look-up alone: nothing else of the tenant waits, and it is no try
                until = datetime.now(UTC) + timedelta(seconds=error.seconds)
                return await self._retry(row, until, describe(error), row.attempts)
            except Exception as error:  # noqa: BLE001 - whatever the platform's library raises: it is stored and logged
                log.warning("it cannot be looked up whether outbox row %s arrived: %s", row.id, describe(error))
                if row.attempts < self._tries:
                    return await self._retry(row, self._next_try(row), describe(error), row.attempts + 1)
                was_sent = None
            if was_sent:
                await self._mark(row, OutboxStatus.SENT, sent_at=datetime.now(UTC))
                return True
            again = was_sent is None
            if again and self._ambiguous_sends is AmbiguousSends.DROP:
                return await self._give_up(row, where, DROPPED_AMBIGUOUS)
        row = await self._mark(row, OutboxStatus.SENDING, attempts=row.attempts + 1, error=None)
        return await self._attempt(row, where, again=again)

    async def _put_off(self, row: Row[Any], where: Destination) -> bool:
        """Try a row again later whose channel is not configured, and make it a dead letter after its tries."""
        reason = f"No channel {where.conversation.channel!r} is configured, so nothing can be sent there."
        if row.attempts < self._tries:
            return await self._retry(row, self._next_try(row), reason, row.attempts + 1)
        log.error("outbox row %s was given up after %s tries: %s", row.id, row.attempts, reason)
        return await self._give_up(row, where, reason)

    async def _attempt(self, row: Row[Any], where: Destination, *, again: bool = False) -> bool:
        """Sends one row that is marked as being sent; returns whether the next may follow."""
        try:
            with exits_contained("the platform's library"):
                async with asyncio.timeout(self._timings.delivery):
                    platform_id = await self._send(row, where.conversation, again=again)
        except Exception as error:  # noqa: BLE001 - whatever the platform's library raises: it is stored and logged
            return await self._failed(row, where, error)
        await self._mark(row, OutboxStatus.SENT, sent_at=datetime.now(UTC), platform_id=platform_id)
        return True

    def _can_go(self, unsent: PendingDelivery) -> bool:
        row, where = unsent.row, unsent.where
        is_fresh = row.status == OutboxStatus.WAITING and not row.ambiguous
        return is_fresh and _pause_of(where) is None and self._reason_against(row, where) is None

    def _reason_against(self, row: Row[Any], where: Destination) -> str | None:
        now, window = datetime.now(UTC), self._presenters[where.conversation.channel].reply_window
        if now - (row.renewed_at or row.created_at) > self._oldest:
            return TOO_OLD
        if window is not None and (where.last_accepted_at is None or now - where.last_accepted_at > window):
            hours = round(window.total_seconds() / 3600)
            return f"{where.conversation.channel} takes messages only within {hours} hours of the person's last one."
        return None

    async def _look_up(self, row: Row[Any], where: Destination) -> bool | None:
        """Whether it was sent; `None` if that cannot be told and it matters."""
        if row.kind not in _TEXTS:
            return False  # a link or a note that comes twice does no harm
        identity = _recipient(row, where.conversation) if row.kind == OutboxKind.PRIVATE_TEXT else None
        text, since = json.loads(row.body)["text"], row.renewed_at or row.created_at
        delivery = Delivery(_key_of(row), where.conversation, text, identity, since)
        try:
            async with asyncio.timeout(self._timings.delivery):
                return await self._presenters[where.conversation.channel].was_sent(delivery)
        except DeliveryRefusedError as refusal:
            log.info("%s does not tell whether outbox row %s arrived: %s", where.conversation.channel, row.id, refusal)
            return None

    async def _failed(self, row: Row[Any], where: Destination, error: Exception) -> bool:
        channel = where.conversation.channel
        if isinstance(error, DeliveryRefusedError):
            if row.kind == OutboxKind.PRIVATE_TEXT:
                log.info("outbox row %s is held until its person writes directly: %s", row.id, error)
                await self._mark(row, OutboxStatus.HELD)
                return True
            log.log(self._level(row), "%s refused outbox row %s: %s", channel, row.id, describe(error))
            return await self._give_up(
                row, where, f"{channel} refused it: {error}", notice=not isinstance(error, RecipientUnreachableError)
            )
        if isinstance(error, RetryLaterError):
            until = datetime.now(UTC) + timedelta(seconds=error.seconds)
            log.info("%s asks to send nothing for %s for %s s", channel, where.conversation.tenant, error.seconds)
            await self._pause(where.conversation, until)
            return await self._retry(row, until, describe(error), row.attempts - 1)  # it does not count as a try
        ambiguous = row.ambiguous or isinstance(error, (DeliveryAmbiguousError, TimeoutError, StrayExitError))
        if isinstance(error, AssertionError) or row.attempts >= self._tries:
            level = self._level(row, logging.ERROR)
            log.log(level, "outbox row %s was given up after %s tries", row.id, row.attempts, exc_info=error)
            return await self._give_up(row, where, describe(error), notice=True, ambiguous=ambiguous)
        log.log(self._level(row), "outbox row %s is tried again: %s", row.id, describe(error))
        return await self._retry(row, self._next_try(row), describe(error), row.attempts, ambiguous=ambiguous)

    def _next_try(self, row: Row[Any]) -> datetime:
        return next_try(row.attempts, self._timings.longest_pause)

    def _level(self, row: Row[Any], level: int = logging.WARNING) -> int:
        """The level to report at that a part of a message failed: of the others that fail likewise, DEBUG."""
        failed = (row.reference or row.id, row.attempts, row.renewed_at)
        if failed in self._reported:
            return logging.DEBUG
        self._reported.append(failed)
        return level

    async def _retry(self, row: Row[Any], due_at: datetime, error: str | None, attempts: int, **values: Any) -> bool:
        await self._mark(row, OutboxStatus.RETRYING, due_at=due_at, error=error, attempts=attempts, **values)
        return False

    async def _give_up(
        self, row: Row[Any], where: Destination, reason: str, *, notice: bool = False, **values: Any
    ) -> bool:
        parts: list[str] = []
        if notice and row.kind != OutboxKind.NOTICE:
            text = UNDELIVERED.format(reference=row.reference)
            parts = self._presenters[where.conversation.channel].parts(text)
        async with self._database.write() as connection:
            await self._mark_in(connection, row, OutboxStatus.DEAD, error=reason, **values)
            same = {"of_conversation": row.conversation_id, "of_reference": row.reference}
            if parts and (await connection.execute(_NOTICE, same)).first() is not None:
                parts = []  # it was said when another part of the message was given up
            for text in parts:
                body = {"text": text, "reply_to": ""}
                await self._add(
                    connection, row.conversation_id, row.inbox_id, OutboxKind.NOTICE, body, reference=row.reference
                )
            committed = await self._inbox.resume(connection, [row.conversation_id] if parts else [])
        committed()
        return True

    async def _send(self, row: Row[Any], conversation: Conversation, *, again: bool) -> str | None:
        """Send one row; return the platform's id of the message, if it is a text that may be replied to."""
        presenter, body, key = self._presenters[conversation.channel], json.loads(row.body), _key_of(row)
        if row.kind in (OutboxKind.TEXT, OutboxKind.NOTICE):
            text = presenter.again(body["text"]) if again else body["text"]
            return await presenter.send_text(conversation, text, body["reply_to"], key=key)
        if row.kind == OutboxKind.PRIVATE_TEXT:
            text = presenter.again(body["text"]) if again else body["text"]
            identity = _recipient(row, conversation)
            return await presenter.send_private_text(identity, conversation, text, first=body["first"], key=key)
        if row.kind == OutboxKind.PRIVATE_NOTE:
            identity, reached = _recipient(row, conversation), not await self._is_held(row)
            await presenter.send_private_note(identity, conversation, body["reply_to"], reached=reached)
        else:
            await presenter.send_sign_in(self._sign_in(body, conversation))
        return None

    async def _pause(self, conversation: Conversation, until: datetime) -> None:
        async with self._database.write() as connection:
            upsert = self._database.upsert(pauses).values(
                channel=conversation.channel, tenant=conversation.tenant, until=until
            )
            await connection.execute(
                upsert.on_conflict_do_update(index_elements=["channel", "tenant"], set_={"until": until})
            )

    def _sign_in(self, body: Mapping[str, Any], conversation: Conversation) -> SignIn:
        oauth, provider = self._oauth, body["provider"]
        assert oauth is not None, "a sign-in link without a provider"
        identity = Identity(conversation.channel, body["tenant"], body["user_id"])
        return SignIn(
            identity=identity,
            conversation=conversation,
            reply_to=body["reply_to"],
            label=oauth.label(provider),
            link=lambda: oauth.authorization_url(identity, provider, body.get("name", "")),
            ticket=oauth.ticket(identity, provider),
        )

    async def _is_held(self, note: Row[Any]) -> bool:
        """Return whether the private text that a note stands for is held until its person writes."""
        held = select(outbox.c.id).where(
            is_any(outbox.c.status, OutboxStatus.HELD),
            outbox.c.recipient_user_id == note.recipient_user_id,
            outbox.c.reference == note.reference,
        )
        async with self._database.read() as connection:
            return (await connection.execute(held.limit(1))).first() is not None

    async def _answer(
        self,
        connection: AsyncConnection,
        answered: Answered,
        kind: OutboxKind,
        body: object,
        recipient: Identity | None = None,
    ) -> None:
        values = {"reference": answered.reference}
        await self._add(connection, answered.conversation_id, answered.id, kind, body, recipient, **values)

    async def _add(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        inbox_id: int | None,
        kind: OutboxKind,
        body: object,
        recipient: Identity | None = None,
        **values: Any,
    ) -> None:
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
        await connection.execute(_ADD, row)

    async def _mark(self, row: Row[Any], status: OutboxStatus, **values: Any) -> Row[Any]:
        return await self._database.run_write(lambda connection: self._mark_in(connection, row, status, **values))

    async def _mark_in(
        self, connection: AsyncConnection, row: Row[Any], status: OutboxStatus, **values: Any
    ) -> Row[Any]:
        """Changes a row that nobody has changed since it was read.

        Raises:
            LeaseLostError: if somebody has: another worker sends it now.
        """
        fence = {"row_id": row.id, "known_status": row.status, "known_attempts": row.attempts}
        marked = await connection.execute(_MARK.values(status=status, **values), fence)
        changed: Row[Any] | None = marked.first()
        if changed is None:
            raise LeaseLostError
        return changed


async def _unsent(connection: AsyncConnection, conversation_id: int) -> list[PendingDelivery]:
    rows = (await connection.execute(_UNSENT, {"conversation_id": conversation_id})).all()
    if not rows:
        return []
    first = rows[0]
    conversation = Conversation(first.channel, first.tenant, first.key, first.shared)
    where = Destination(conversation, first.last_accepted_at, first.until)
    return [PendingDelivery(row, where) for row in rows]


def _pause_of(where: Destination) -> datetime | None:
    until = where.paused_until
    return until if until is not None and until > datetime.now(UTC) else None


def _key_of(row: Row[Any]) -> str:
    return f"{row.reference}-{row.id}"


def _recipient(row: Row[Any], conversation: Conversation) -> Identity:
    return Identity(conversation.channel, row.recipient_tenant, row.recipient_user_id)
