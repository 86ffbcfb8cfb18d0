"""Export or erase everything that is stored about one person."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.access.entries import Entry, is_entry
from gateway.storage.database import Database
from gateway.storage.files import is_owned, remove_files
from gateway.storage.tables import (
    access_list,
    access_requests,
    audit,
    audit_erasures,
    conversations,
    decider,
    feedback,
    files,
    inbox,
    known_people,
    opt_outs,
    outbox,
    pieces,
    questions,
    session_items,
    threads,
    tool_calls,
    turn_counts,
    turn_responses,
)
from oauth import Identity, OAuthCoordinator
from oauth.store.tables import is_of, oauth_authorizations, oauth_suspensions

DECIDED = "Somebody else decided this."  # replaces the sentence that names who decided, and when

Rows = list[dict[str, Any]]


class PersonalData:
    """Exports and erases the rows of one person.

    Dedupe keys stay: they are ids of platforms' events and name nobody. An opt-out stays, too, so that nobody writes to
    a person who does not want it.
    """

    def __init__(self, database: Database, oauth: OAuthCoordinator) -> None:
        self._database = database
        self._oauth = oauth

    async def export(self, identity: Identity) -> Mapping[str, Any]:
        """Return everything that is stored about a person, table by table, except tokens and the content of files."""
        accounts = [asdict(account) for account in await self._oauth.accounts(identity)]
        async with self._database.read() as connection:
            direct = await _direct(connection, identity)
            messages = _messages(identity, direct)
            found = {
                "conversations": await _rows(connection, conversations, conversations.c.id.in_(direct)),
                "messages": await _rows(connection, inbox, inbox.c.id.in_(messages)),
                "pieces": await _rows(connection, pieces, pieces.c.inbox_id.in_(messages)),
                "answers": await _rows(connection, outbox, _answers(identity, direct)),
                "files": await _files(connection, _sent_or_uploaded(identity, direct)),
                "history": await _rows(connection, session_items, _owned(identity, direct)),
                "tool_calls": await _rows(connection, tool_calls, tool_calls.c.inbox_id.in_(messages)),
                "model_responses": await _rows(connection, turn_responses, turn_responses.c.inbox_id.in_(messages)),
                "questions": await _rows(connection, questions, is_of(questions, identity)),
                "threads": await _rows(connection, threads, is_of(threads, identity)),
                "known_as": await _rows(connection, known_people, is_of(known_people, identity)),
                "opt_outs": await _rows(connection, opt_outs, is_of(opt_outs, identity)),
                "access": await _rows(connection, access_list, is_entry(Entry.of(identity))),
                "access_requests": await _rows(connection, access_requests, is_of(access_requests, identity)),
                "turn_counts": await _rows(connection, turn_counts, is_of(turn_counts, identity)),
                "feedback": await _rows(connection, feedback, is_of(feedback, identity)),
                "suspensions": await _rows(connection, oauth_suspensions, is_of(oauth_suspensions, identity)),
                "audit": await _rows(connection, audit, is_of(audit, identity)),
            }
        return {"identity": asdict(identity), "accounts": accounts, **found}

    async def erase(self, identity: Identity) -> Mapping[str, int]:
        """Erase everything that is stored about a person, and return the number of removed rows by kind.

        Accounts are disconnected; the provider is asked to revoke their tokens soon after, as with /disconnect.
        """
        accounts = await self._oauth.disconnect_all(identity)
        async with self._database.write() as connection:
            direct = await _direct(connection, identity)
            messages = _messages(identity, direct)
            await connection.execute(insert(audit_erasures).values(asdict(identity)))
            # The person's decisions on other people's questions stand, without the name.
            decided = update(questions).where(questions.c.decided_by == decider(identity))
            await connection.execute(decided.values(decided_by=None, decision=DECIDED))
            removed = {
                "sign-ins": await _remove(connection, oauth_authorizations, is_of(oauth_authorizations, identity)),
                "suspensions": await _remove(connection, oauth_suspensions, is_of(oauth_suspensions, identity)),
                "tool calls": await _remove(connection, tool_calls, tool_calls.c.inbox_id.in_(messages)),
                "model responses": await _remove(connection, turn_responses, turn_responses.c.inbox_id.in_(messages)),
                "questions": await _remove(connection, questions, is_of(questions, identity)),
                "threads": await _remove(connection, threads, is_of(threads, identity)),
                "access": await _remove(connection, access_list, is_entry(Entry.of(identity))),
                "access requests": await _remove(connection, access_requests, _asked(identity, direct)),
                "ids": await _remove(connection, known_people, is_of(known_people, identity)),
                "feedback": await _remove(connection, feedback, is_of(feedback, identity)),
                "files": await remove_files(connection, _sent_or_uploaded(identity, direct)),
                "answers": await _remove(connection, outbox, _answers(identity, direct)),
                "pieces": await _remove(connection, pieces, pieces.c.inbox_id.in_(messages)),
                "messages": await _remove(connection, inbox, inbox.c.id.in_(messages)),
                "history": await _remove(connection, session_items, _owned(identity, direct)),
                "conversations": await _remove(connection, conversations, conversations.c.id.in_(direct)),
                "turn counts": await _remove(connection, turn_counts, is_of(turn_counts, identity)),
                "audit": await _remove(connection, audit, is_of(audit, identity)),
            }
            await connection.execute(delete(audit_erasures).where(is_of(audit_erasures, identity)))
        return {"accounts": accounts, **removed}


async def _direct(connection: AsyncConnection, identity: Identity) -> Sequence[int]:
    """Return the ids of the person's direct conversations, which nobody else reads."""
    here = and_(conversations.c.id == inbox.c.conversation_id, ~conversations.c.shared)
    found = select(conversations.c.id).join(inbox, here).where(_written(identity)).distinct()
    return (await connection.execute(found)).scalars().all()


def _messages(identity: Identity, direct: Sequence[int]) -> Select[int]:
    """Select the ids of the person's messages, in direct conversations also of those that are not parsed yet."""
    return select(inbox.c.id).where(or_(_written(identity), inbox.c.conversation_id.in_(direct)))


def _written(identity: Identity) -> ColumnElement[bool]:
    sent = and_(inbox.c.sender_tenant == identity.tenant, inbox.c.sender_user_id == identity.user_id)
    in_channel = inbox.c.conversation_id.in_(_of_channel(identity))
    return or_(and_(sent, in_channel), inbox.c.id.in_(select(session_items.c.inbox_id).where(_owned(identity, ()))))


def _answers(identity: Identity, direct: Sequence[int]) -> ColumnElement[bool]:
    for_them = and_(outbox.c.recipient_tenant == identity.tenant, outbox.c.recipient_user_id == identity.user_id)
    return or_(
        outbox.c.inbox_id.in_(_messages(identity, direct)),
        outbox.c.conversation_id.in_(direct),
        and_(for_them, outbox.c.conversation_id.in_(_of_channel(identity))),
    )


def _asked(identity: Identity, direct: Sequence[int]) -> ColumnElement[bool]:
    return or_(is_of(access_requests, identity), access_requests.c.conversation_id.in_(direct))


def _sent_or_uploaded(identity: Identity, direct: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a file was sent with an answer to the person, or belongs to the person."""
    sent = select(outbox.c.id).where(_answers(identity, direct))
    return or_(files.c.outbox_id.in_(sent), is_owned(identity))


async def _files(connection: AsyncConnection, condition: ColumnElement[bool]) -> Rows:
    """Return the metadata of files, without their content."""
    kept = (files.c.id, files.c.name, files.c.media_type, files.c.size, files.c.created_at)
    found = await connection.execute(select(*kept).where(condition).order_by(files.c.created_at))
    return [row._asdict() for row in found]


def _owned(identity: Identity, direct: Sequence[int]) -> ColumnElement[bool]:
    theirs = and_(
        session_items.c.owner_tenant == identity.tenant,
        session_items.c.owner_user_id == identity.user_id,
        session_items.c.conversation_id.in_(_of_channel(identity)),
    )
    return or_(theirs, session_items.c.conversation_id.in_(direct))


def _of_channel(identity: Identity) -> Select[int]:
    return select(conversations.c.id).where(conversations.c.channel == identity.channel)


async def _rows(connection: AsyncConnection, table: Table, condition: ColumnElement[bool]) -> Rows:
    found = await connection.execute(select(table).where(condition).order_by(*table.primary_key))
    return [row._asdict() for row in found]


async def _remove(connection: AsyncConnection, table: Table, condition: ColumnElement[bool]) -> int:
    key = next(iter(table.primary_key))
    removed = await connection.execute(delete(table).where(condition).returning(key))
    return len(removed.all())
