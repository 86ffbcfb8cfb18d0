import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from gateway.database import Database
from gateway.inbox import load_conversation
from gateway.interface import DeliveryRefused, Presenter, RetryLater, SignIn
from gateway.tables import OutboxKind, OutboxStatus, conversations, is_any, outbox
from oauth import Identity, OAuthCoordinator
from toolkits import Conversation

TRIES = 5  # of one delivery, before it is given up
LONGEST_WAIT = 10  # seconds between two tries
HELD_FOR = timedelta(days=1)  # a person who writes later does not expect the answer any more

log = logging.getLogger(__name__)

_exponential = wait_exponential_jitter(max=LONGEST_WAIT)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.seconds if isinstance(error, RetryLater) else _exponential(state)


class Outbox:
    """The transactional outbox: what is to be sent, in order per conversation.

    Args:
        presenters: one per channel.
        oauth: makes the sign-in links; `None` where no toolkit needs an account.
    """

    def __init__(self, database: Database, presenters: Mapping[str, Presenter], oauth: OAuthCoordinator | None) -> None:
        self._database = database
        self._presenters = presenters
        self._oauth = oauth

    async def add_texts(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        inbox_id: int,
        texts: Sequence[str],
        reply_to: str,
    ) -> None:
        """Adds the parts of an answer in the transaction that ends its turn."""
        for text in texts:
            body = {"text": text, "reply_to": reply_to}
            await self._add(connection, conversation_id, inbox_id, OutboxKind.TEXT, body)

    async def add_private_texts(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        inbox_id: int,
        identity: Identity,
        texts: Sequence[str],
        reply_to: str,
    ) -> None:
        """Adds the parts of an answer that is for one person alone, and a note where they asked."""
        for place, text in enumerate(texts):
            body = {"text": text, "first": place == 0}
            await self._add(connection, conversation_id, inbox_id, OutboxKind.PRIVATE_TEXT, body, identity)
        body = {"reply_to": reply_to}
        await self._add(connection, conversation_id, inbox_id, OutboxKind.PRIVATE_NOTE, body, identity)

    async def release(self, connection: AsyncConnection, identity: Identity) -> list[int]:
        """Lets go what was held for a person, who can be reached now; returns the conversations it is sent from."""
        of_channel = select(conversations.c.id).where(conversations.c.channel == identity.channel)
        released = await connection.execute(
            update(outbox)
            .where(
                is_any(outbox.c.status, OutboxStatus.HELD),
                outbox.c.recipient_tenant == identity.tenant,
                outbox.c.recipient_user_id == identity.user_id,
                outbox.c.created_at >= datetime.now(UTC) - HELD_FOR,
                outbox.c.conversation_id.in_(of_channel),
            )
            .values(status=OutboxStatus.WAITING)
            .returning(outbox.c.conversation_id)
        )
        return list(dict.fromkeys(released.scalars()))

    async def add_sign_in(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        inbox_id: int,
        identity: Identity,
        provider: str,
        reply_to: str,
    ) -> None:
        """Adds a sign-in link. What is stored is for whom and for what; the link itself is made when it is sent."""
        body = {
            "tenant": identity.tenant,
            "user_id": identity.user_id,
            "provider": provider,
            "reply_to": reply_to,
        }
        await self._add(connection, conversation_id, inbox_id, OutboxKind.SIGN_IN, body)

    async def deliver(self, conversation_id: int) -> None:
        """Sends what waits in a conversation, in order.

        A row that was being sent when its process died is sent again: better twice than not at all.
        """
        async with self._database.read() as connection:
            found = await connection.execute(
                select(outbox)
                .where(
                    outbox.c.conversation_id == conversation_id,
                    is_any(outbox.c.status, OutboxStatus.WAITING, OutboxStatus.SENDING),
                )
                .order_by(outbox.c.id)
            )
            rows = found.all()
            if not rows:
                return
            conversation = await load_conversation(connection, conversation_id)
        for row in rows:
            await self._mark(row.id, OutboxStatus.SENDING, attempts=row.attempts + 1)
            await self._mark(row.id, await self._try(row, conversation))

    async def _try(self, row: Row[Any], conversation: Conversation) -> OutboxStatus:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(TRIES),
            wait=_wait,
            retry=retry_if_not_exception_type((DeliveryRefused, AssertionError)),
        )
        try:
            await retrying(self._send, row, conversation)
        except DeliveryRefused as refusal:
            if row.kind == OutboxKind.PRIVATE_TEXT:
                log.info("outbox row %s is held until its person writes directly: %s", row.id, refusal)
                return OutboxStatus.HELD
            log.warning("%s refused outbox row %s: %s", conversation.channel, row.id, refusal)
            return OutboxStatus.DEAD
        except RetryError as error:
            log.exception(
                "outbox row %s was given up after %s tries", row.id, TRIES, exc_info=error.last_attempt.exception()
            )
            return OutboxStatus.DEAD
        return OutboxStatus.SENT

    async def _send(self, row: Row[Any], conversation: Conversation) -> None:
        presenter, body = self._presenters[conversation.channel], json.loads(row.body)
        if row.kind == OutboxKind.TEXT:
            await presenter.send_text(conversation, body["text"], body["reply_to"])
        elif row.kind == OutboxKind.PRIVATE_TEXT:
            identity = _recipient(row, conversation)
            await presenter.send_private_text(identity, conversation, body["text"], first=body["first"])
        elif row.kind == OutboxKind.PRIVATE_NOTE:
            identity, reached = _recipient(row, conversation), not await self._is_held(row.inbox_id)
            await presenter.send_private_note(identity, conversation, body["reply_to"], reached=reached)
        else:
            await presenter.send_sign_in(self._sign_in(body, conversation))

    def _sign_in(self, body: Mapping[str, Any], conversation: Conversation) -> SignIn:
        oauth, provider = self._oauth, body["provider"]
        assert oauth is not None, "a sign-in link without a provider"
        identity = Identity(conversation.channel, body["tenant"], body["user_id"])
        return SignIn(
            identity=identity,
            conversation=conversation,
            reply_to=body["reply_to"],
            label=oauth.label(provider),
            link=lambda: oauth.authorization_url(identity, provider),
            ticket=oauth.ticket(identity, provider),
        )

    async def _is_held(self, inbox_id: int) -> bool:
        held = select(outbox.c.id).where(outbox.c.inbox_id == inbox_id, is_any(outbox.c.status, OutboxStatus.HELD))
        async with self._database.read() as connection:
            return (await connection.execute(held.limit(1))).first() is not None

    async def _add(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        inbox_id: int,
        kind: OutboxKind,
        body: object,
        recipient: Identity | None = None,
    ) -> None:
        await connection.execute(
            insert(outbox).values(
                conversation_id=conversation_id,
                inbox_id=inbox_id,
                kind=kind,
                body=json.dumps(body, ensure_ascii=False),
                status=OutboxStatus.WAITING,
                attempts=0,
                created_at=datetime.now(UTC),
                recipient_tenant=recipient and recipient.tenant,
                recipient_user_id=recipient and recipient.user_id,
            )
        )

    async def _mark(self, row_id: int, status: OutboxStatus, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == row_id).values(status=status, **values))


def _recipient(row: Row[Any], conversation: Conversation) -> Identity:
    return Identity(conversation.channel, row.recipient_tenant, row.recipient_user_id)
