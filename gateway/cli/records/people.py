"""`understudy accounts …`, `person …` and `feedback`: the connected accounts, stored data and ratings of people."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from gateway.channels.event import Rating
from gateway.cli.options import (
    AsJson,
    Channel,
    Limit,
    OfChannel,
    OfTenant,
    OfUser,
    Provider,
    Tenant,
    User,
    WithContent,
    in_utc,
)
from gateway.cli.records.keys import read_keyring
from gateway.cli.terminal import open_database, print_json, print_table, say
from gateway.operations.feedback import FeedbackRecord, FeedbackStore
from gateway.operations.personal_data import PersonalData
from gateway.operations.reading import record_reading
from gateway.operations.suspension import OPERATOR, AccountSuspension
from gateway.storage.database import Database
from gateway.turns.audit import Audit
from oauth import Identity, OAuthCoordinator, SettingError
from oauth.store.tokens import AccountRecord, list_accounts

accounts = typer.Typer(
    no_args_is_help=True, help="List, suspend and disconnect the accounts that people have connected."
)
person = typer.Typer(no_args_is_help=True, help="Export or erase everything that is stored about one person.")

EXPORTED, COMMENTS_SHOWN = "person export", "feedback --content"  # in the audit, as the tools


@accounts.command("list")
def list_connected(
    channel: OfChannel = None,
    tenant: OfTenant = None,
    user: OfUser = None,
    provider: Annotated[str | None, typer.Option(help="Only this provider, for example google.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this account, for example an e-mail address.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the accounts that people have connected."""
    wanted = {"channel": channel, "tenant": tenant, "user_id": user, "provider": provider, "account": account}
    asyncio.run(_print_accounts(wanted, as_json=as_json))


@accounts.command()
def revoke(channel: Channel, tenant: Tenant, user: User, provider: Provider) -> None:
    """Disconnect a person's account, as /disconnect does in the chat."""
    asyncio.run(_revoke(Identity(channel, tenant, user), provider))


@accounts.command()
def suspend(channel: Channel, tenant: Tenant, user: User) -> None:
    """Stop the use of a person's accounts until they are resumed. Nothing is deleted or revoked."""
    asyncio.run(_suspend(Identity(channel, tenant, user)))


@accounts.command()
def resume(channel: Channel, tenant: Tenant, user: User) -> None:
    """Let a person's accounts be used again that were suspended, for example because Slack says that they left."""
    asyncio.run(_resume(Identity(channel, tenant, user)))


@person.command()
def export(channel: Channel, tenant: Tenant, user: User) -> None:
    """Print everything that is stored about a person as JSON, without their tokens. The audit records that you did."""
    asyncio.run(_export(Identity(channel, tenant, user)))


@person.command()
def erase(
    channel: Channel,
    tenant: Tenant,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Erase everything that is stored about a person, and revoke the accounts that they have connected."""
    identity = Identity(channel, tenant, user)
    if not yes:
        typer.confirm(f"Erase everything that is stored about {identity}? This cannot be undone.", abort=True, err=True)
    asyncio.run(_erase(identity))


def feedback(
    channel: OfChannel = None,
    tenant: OfTenant = None,
    user: OfUser = None,
    conversation: Annotated[str | None, typer.Option(help="Only ratings in the conversation with this id.")] = None,
    rating: Annotated[Rating | None, typer.Option(help="Only these ratings.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only ratings of this time or later, in UTC.")] = None,
    limit: Limit = 100,
    content: WithContent = False,
    as_json: AsJson = False,
) -> None:
    """List people's ratings of answers, newest first. `understudy audit --reference` lists an answer's tool calls."""
    wanted = {"channel": channel, "tenant": tenant, "user_id": user, "conversation": conversation, "rating": rating}
    asyncio.run(_print_feedback(wanted, in_utc(since), limit, content=content, as_json=as_json))


async def _print_accounts(wanted: Mapping[str, str | None], *, as_json: bool) -> None:
    async with open_database() as database, database.read() as connection:
        found = await list_accounts(connection, **wanted)
    if as_json:
        print_json(found)
    else:
        print_table([_row(each) for each in found], "No connected account matches.")


async def _print_feedback(
    wanted: Mapping[str, str | None], since: datetime | None, limit: int, *, content: bool, as_json: bool
) -> None:
    async with open_database() as database:
        records = await FeedbackStore(database, {}).find(since=since, limit=limit, **wanted)
        if content:
            commented = [record for record in records if record.comment is not None]
            read = [(Identity(each.channel, each.tenant, each.user_id), each.conversation) for each in commented]
            await record_reading(Audit(database), COMMENTS_SHOWN, read)
        else:
            records = [replace(record, comment=None) for record in records]
    if as_json:
        print_json(records)
    else:
        print_table([_rating_row(record, content=content) for record in records], "No rating matches.")


async def _revoke(identity: Identity, provider: str) -> None:
    async with open_database() as database:
        account = await _coordinator(database).disconnect(identity, provider)
    if account is None:
        raise SettingError(f"{identity} has no {provider} account connected: see `understudy accounts list`.")
    say(f"{account} is disconnected. A running gateway or worker revokes its token at {provider}.")


async def _suspend(identity: Identity) -> None:
    async with open_database() as database:
        if not await AccountSuspension(database).suspend(identity, OPERATOR):
            raise SettingError(f"{identity} has no account that could be suspended: see `understudy accounts list`.")
    say(f"The accounts of {identity} are suspended.")


async def _resume(identity: Identity) -> None:
    async with open_database() as database:
        was_suspended = await AccountSuspension(database).resume(identity)
    say(f"The accounts of {identity} are used again." if was_suspended else f"{identity} was not suspended.")


async def _export(identity: Identity) -> None:
    async with open_database() as database:
        found = await PersonalData(database, _coordinator(database)).export(identity)
        await record_reading(Audit(database), EXPORTED, [(identity, "")])
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False, default=datetime.isoformat))


async def _erase(identity: Identity) -> None:
    async with open_database() as database:
        removed = await PersonalData(database, _coordinator(database)).erase(identity)
    counts = ", ".join(f"{count} {what}" for what, count in removed.items() if count)
    say(f"Erased for {identity}: {counts}." if counts else f"Nothing was stored about {identity}.")


def _coordinator(database: Database) -> OAuthCoordinator:
    return OAuthCoordinator(database, read_keyring(), base_url="")


def _row(found: AccountRecord) -> dict[str, str]:
    return {
        "person": f"{found.channel} {found.tenant} {found.user_id}",
        "provider": found.provider,
        "account": found.account or "-",
        "connected (UTC)": f"{found.connected_at:%Y-%m-%d %H:%M}" if found.connected_at is not None else "-",
        "refreshed (UTC)": f"{found.updated_at:%Y-%m-%d %H:%M}",
        "suspended (UTC)": f"{found.suspended_at:%Y-%m-%d %H:%M}" if found.suspended_at is not None else "-",
    }


def _rating_row(record: FeedbackRecord, *, content: bool) -> dict[str, str]:
    row = {
        "rated (UTC)": f"{record.rated_at:%Y-%m-%d %H:%M:%S}",
        "person": f"{record.channel} {record.tenant} {record.user_id}",
        "rating": str(record.rating),
        "conversation": record.conversation,
        "reference": record.reference,
    }
    return row | ({"comment": record.comment or "-"} if content else {})
