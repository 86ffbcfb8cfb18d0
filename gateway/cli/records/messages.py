"""`understudy messages` and `show`: what became of people's messages."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, Limit, OfChannel, OfTenant, WithContent, in_utc
from gateway.cli.terminal import open_database, print_json, print_table, say
from gateway.operations.messages import MessageRecord, Messages
from gateway.operations.timeline import Timeline, TimelineEntry, Timelines
from gateway.storage.tables import InboxStatus

BECAME = {
    InboxStatus.HELD: "does not address the bot yet",
    InboxStatus.GATHERING: "is not complete yet",
    InboxStatus.WAITING: "waits for its turn",
    InboxStatus.RUNNING: "is being answered",
    InboxStatus.RETRYING: "is tried again",
    InboxStatus.JOINED: "is answered in another turn",
    InboxStatus.PARKED: "waits for a sign-in",
    InboxStatus.ASKED: "waits for an answer",
    InboxStatus.DONE: "was answered",
    InboxStatus.DEAD: "was given up",
    InboxStatus.EXPIRED: "waited too long",
    InboxStatus.DROPPED: "was dropped",
}


def messages(
    person: Annotated[str | None, typer.Option(help="Only messages of the person with this id.")] = None,
    channel: OfChannel = None,
    tenant: OfTenant = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only messages that arrived at this time or later, in UTC.")
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List people's messages and what became of them, oldest first. `understudy show` tells more about one."""
    wanted = {"person": person, "channel": channel, "tenant": tenant}
    asyncio.run(_print_messages(wanted, in_utc(since), limit, as_json=as_json))


def show(
    reference: Annotated[str, typer.Argument(help="The reference that the person was told, and that the log has.")],
    content: WithContent = False,
    as_json: AsJson = False,
) -> None:
    """Show the life of one message as a timeline: turns, tools, sign-ins, questions, deliveries."""
    asyncio.run(_print_timelines(reference, content=content, as_json=as_json))


async def _print_messages(
    wanted: Mapping[str, str | None], since: datetime | None, limit: int, *, as_json: bool
) -> None:
    async with open_database() as database:
        found = await Messages(database).find(since=since, limit=limit, **wanted)
    if as_json:
        print_json(found)
    else:
        print_table([_row(message) for message in found], "No message matches.")


async def _print_timelines(reference: str, *, content: bool, as_json: bool) -> None:
    async with open_database() as database:
        found = await Timelines(database).of(reference, content=content)
    if as_json:
        print_json(found)
        return
    if len(found) > 1:
        say(f"{len(found)} messages have the reference {reference}.")
    for timeline in found:
        typer.echo(_heading(timeline))
        print_table([_event_row(entry, content=content) for entry in timeline.entries], "Nothing is stored about it.")


def _heading(timeline: Timeline) -> str:
    message = timeline.message
    if message is None:
        return f"{timeline.reference}: a message that the gateway sent unasked"
    return f"{message.reference}: a message from {_person(message)}, which {BECAME[InboxStatus(message.status)]}"


def _person(message: MessageRecord) -> str:
    return f"{message.channel} {message.tenant} {message.person}"


def _row(message: MessageRecord) -> dict[str, str]:
    return {
        "reference": message.reference,
        "received (UTC)": f"{message.received_at:%Y-%m-%d %H:%M:%S}",
        "person": _person(message),
        "conversation": message.conversation,
        "became": BECAME[InboxStatus(message.status)],
        "tries": str(message.tries),
        "seconds": _seconds(message.seconds),
        "error": message.error or "-",
    }


def _event_row(entry: TimelineEntry, *, content: bool) -> dict[str, Any]:
    row = {
        "at (UTC)": f"{entry.at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
        "event": entry.event,
        "tries": "-" if entry.tries is None else str(entry.tries),
        "seconds": _seconds(entry.seconds),
        "detail": entry.detail or "-",
    }
    return row | ({"content": entry.content or "-"} if content else {})


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"
