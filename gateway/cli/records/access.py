"""`understudy access …`: who may use the channels that do not answer everybody."""

import asyncio
from typing import Annotated

import typer

from gateway.access.entries import AccessList, Entry, Kind, StoredEntry
from gateway.access.pairing import AccessRequests, PendingRequest
from gateway.cli.options import AsJson, Channel, OfChannel, Tenant
from gateway.cli.terminal import open_database, print_json, print_table, say
from oauth import SettingError

app = typer.Typer(no_args_is_help=True, help="Say who may use a channel whose access is allowlist or pairing.")

User = Annotated[str | None, typer.Argument(help="The person's id on the channel.")]
Chat = Annotated[str | None, typer.Option(help="The id of a channel, a group or a direct conversation: all who write.")]
Everybody = Annotated[bool, typer.Option("--everybody", help="Everybody of the workspace, the bot or the number.")]


@app.command()
def allow(channel: Channel, tenant: Tenant, user: User = None, chat: Chat = None, everybody: Everybody = False) -> None:
    """Let a person, everybody in a chat or everybody of a workspace use a channel, from now on."""
    asyncio.run(_allow(_entry(channel, tenant, user, chat, everybody)))


@app.command()
def remove(
    channel: Channel, tenant: Tenant, user: User = None, chat: Chat = None, everybody: Everybody = False
) -> None:
    """Take back what `allow` or `approve` did, from now on. Messages that were accepted before are still answered."""
    asyncio.run(_remove(_entry(channel, tenant, user, chat, everybody)))


@app.command("list")
def list_entries(channel: OfChannel = None, as_json: AsJson = False) -> None:
    """List the people, chats and workspaces that may use a channel."""
    asyncio.run(_print_entries(channel, as_json=as_json))


@app.command()
def pending(channel: OfChannel = None, as_json: AsJson = False) -> None:
    """List the people who were told a code that nobody has approved yet."""
    asyncio.run(_print_pending(channel, as_json=as_json))


@app.command()
def approve(code: Annotated[str, typer.Argument(help="The code that the person was told.")]) -> None:
    """Admit the person who was told a code, and tell them so."""
    asyncio.run(_approve(code))


def _entry(channel: str, tenant: str, user: str | None, chat: str | None, everybody: bool) -> Entry:
    if [user is not None, chat is not None, everybody].count(True) != 1:
        raise SettingError("Name a person, a chat with --chat, or give --everybody: one of the three.")
    if user is not None:
        return Entry(channel, tenant, Kind.PERSON, user)
    return Entry(channel, tenant, Kind.WORKSPACE, "") if chat is None else Entry(channel, tenant, Kind.CHAT, chat)


async def _allow(entry: Entry) -> None:
    async with open_database() as database:
        is_new = await AccessList(database).allow(entry)
    say(f"{_name(entry)} may use {entry.channel}." if is_new else f"{_name(entry)} could use {entry.channel} already.")


async def _remove(entry: Entry) -> None:
    async with open_database() as database:
        if not await AccessList(database).remove(entry):
            raise SettingError(f"{_name(entry)} is not on the list: see `understudy access list`.")
    say(f"{_name(entry)} is off the list of {entry.channel}.")


async def _print_entries(channel: str | None, *, as_json: bool) -> None:
    async with open_database() as database:
        entries = await AccessList(database).find(channel)
    if as_json:
        print_json(entries)
    else:
        print_table([_row(entry) for entry in entries], "The access list is empty.")


async def _print_pending(channel: str | None, *, as_json: bool) -> None:
    async with open_database() as database:
        requests = await AccessRequests(database).pending(channel)
    if as_json:
        print_json(requests)
    else:
        print_table([_pending_row(request) for request in requests], "No code is open.")


async def _approve(code: str) -> None:
    async with open_database() as database:
        identity = await AccessRequests(database).approve(code)
    say(f"{_name(Entry.of(identity))} may use {identity.channel}. A running gateway or worker tells them so.")


def _name(entry: Entry) -> str:
    return " ".join(filter(None, (f"The {entry.kind}", entry.channel, entry.tenant, entry.key)))


def _row(entry: StoredEntry) -> dict[str, str]:
    return {
        "channel": entry.channel,
        "tenant": entry.tenant,
        "kind": entry.kind,
        "id": entry.key or "-",
        "added (UTC)": f"{entry.added_at:%Y-%m-%d %H:%M}",
    }


def _pending_row(request: PendingRequest) -> dict[str, str]:
    return {
        "code": request.code,
        "person": f"{request.channel} {request.tenant} {request.user_id}",
        "asked (UTC)": f"{request.asked_at:%Y-%m-%d %H:%M}",
        "expires (UTC)": f"{request.expires_at:%Y-%m-%d %H:%M}",
    }
