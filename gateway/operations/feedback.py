"""Store people's ratings of answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, RowMapping, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Feedback, Rating
from gateway.channels.presenter import Presenter
from gateway.storage.database import Database
from gateway.storage.tables import OutboxKind, conversations, feedback, find_conversation, outbox
from oauth import Identity
from oauth.store.tables import is_of
from toolkits import Conversation

# The kinds of rows that carry an agent's answer. Nobody rates sign-in links, notes and notices.
_RATED = (OutboxKind.TEXT, OutboxKind.FILES, OutboxKind.PRIVATE_TEXT, OutboxKind.PRIVATE_FILES)


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """A person's rating of an answer, or the withdrawal of a rating.

    Args:
        rated_at: when the person rated or took back; aware, in UTC.
        channel: the channel of the person.
        tenant: the tenant of the person.
        user_id: the person's id in the tenant.
        conversation: the id of the conversation in which the person asked.
        reference: the reference of the answer's turn, as in the log and the audit.
        rating: `None` if the person took the rating back.
        comment: what the person wrote about the answer, if anything.
    """

    rated_at: datetime
    channel: str
    tenant: str
    user_id: str
    conversation: str
    reference: str
    rating: Rating | None
    comment: str | None = None


class FeedbackStore:
    """The ratings: at most one per person and answer.

    Args:
        presenters: by channel; they know where a person reads private answers.
        changed: is called with each change after it is committed.
    """

    def __init__(
        self,
        database: Database,
        presenters: Mapping[str, Presenter],
        changed: Callable[[FeedbackRecord], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._presenters = presenters
        self._changed = changed

    async def rate(self, given: Feedback) -> bool:
        """Store a rating, or delete it if it is taken back.

        Returns:
            Whether the answer exists and the person can see it. If not, nothing is changed.
        """
        now = datetime.now(UTC)

        async def work(connection: AsyncConnection) -> tuple[bool, FeedbackRecord | None]:
            rows = (await connection.execute(_answers(given))).all()
            seen = next((row for row in rows if self._is_seen(row, given)), None)
            if seen is None:
                return False, None
            record = FeedbackRecord(
                rated_at=now,
                channel=given.identity.channel,
                tenant=given.identity.tenant,
                user_id=given.identity.user_id,
                conversation=seen.key,
                reference=seen.reference,
                rating=None if given.taken_back else given.rating,
                comment=given.comment or None,
            )
            change = _take_back(record, given.rating) if given.taken_back else self._store(record)
            is_changed = (await connection.execute(change)).first() is not None
            return True, record if is_changed else None

        is_seen, record = await self._database.run_write(work)
        if record is not None:
            self._changed(record)
        return is_seen

    async def ratings(self, identity: Identity, conversation: Conversation) -> Mapping[str, Rating]:
        """Return the ratings that a person gave in a conversation, by the reference of the answer."""
        here = is_of(feedback, identity) & (feedback.c.conversation == conversation.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(select(feedback.c.reference, feedback.c.rating).where(here))).all()
        return {row.reference: Rating(row.rating) for row in rows}

    async def find(self, *, since: datetime | None, limit: int, **equal: str | None) -> Sequence[FeedbackRecord]:
        """Return the newest ratings, newest first.

        Args:
            since: leave out ratings that were given earlier.
            equal: the value that a column must have, like `rating="down"`; `None` for any value.
        """
        wanted = [feedback.c[name] == value for name, value in equal.items() if value is not None]
        if since is not None:
            wanted.append(feedback.c.rated_at >= since)
        newest = select(feedback).where(*wanted).order_by(feedback.c.rated_at.desc(), feedback.c.id.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(newest.limit(limit))).mappings().all()
        return [_record(row) for row in rows]

    def _is_seen(self, row: Row[Any], given: Feedback) -> bool:
        """Return whether the person can see this answer in the place where they rated it."""
        if row.recipient_user_id is not None:
            recipient = Identity(row.channel, row.recipient_tenant, row.recipient_user_id)
            is_there = given.platform_id is None or self._is_direct(given)
            return recipient == given.identity and is_there
        place = given.conversation.id
        return bool(row.key == place or row.key.startswith(f"{place}/"))

    def _is_direct(self, given: Feedback) -> bool:
        presenter = self._presenters.get(given.identity.channel)
        return presenter is not None and presenter.is_direct(given.identity, given.conversation)

    def _store(self, record: FeedbackRecord) -> Any:
        """Build the statement that stores a rating. It returns a row if the rating is new or different."""
        values = {name: getattr(record, name) for name in FeedbackRecord.__slots__}
        upsert = self._database.upsert(feedback).values(values)
        is_other = (feedback.c.rating != record.rating) | (feedback.c.comment.is_distinct_from(record.comment))
        return upsert.on_conflict_do_update(
            index_elements=["channel", "tenant", "user_id", "reference"], set_=values, where=is_other
        ).returning(feedback.c.id)


def _answers(given: Feedback) -> Select[Any]:
    """Select the outbox rows that a rating may refer to."""
    where = conversations.c
    found = select(
        outbox.c.reference,
        outbox.c.recipient_tenant,
        outbox.c.recipient_user_id,
        where.channel,
        where.key,
    ).join(conversations, where.id == outbox.c.conversation_id)
    if given.platform_id is None:
        here = find_conversation(given.conversation).scalar_subquery()
        found = found.where(outbox.c.conversation_id == here, outbox.c.reference == given.reference)
    else:
        tenant = (where.channel == given.conversation.channel, where.tenant == given.conversation.tenant)
        found = found.where(outbox.c.platform_id == given.platform_id, *tenant)
    return found.where(outbox.c.kind.in_(_RATED), outbox.c.reference.is_not(None)).order_by(outbox.c.id.desc())


def _record(row: RowMapping) -> FeedbackRecord:
    return FeedbackRecord(
        **{name: row[name] for name in FeedbackRecord.__slots__ if name != "rating"}, rating=Rating(row["rating"])
    )


def _take_back(record: FeedbackRecord, rating: Rating) -> Any:
    """Build the statement that deletes a rating. It returns a row if the rating existed."""
    identity = Identity(record.channel, record.tenant, record.user_id)
    theirs = is_of(feedback, identity) & (feedback.c.reference == record.reference)
    return delete(feedback).where(theirs, feedback.c.rating == rating).returning(feedback.c.id)
