"""`understudy turns …`: turns that have not ended."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Limit
from gateway.cli.terminal import open_database, print_json, print_table, say
from gateway.operations.turns import OpenTurn, OpenTurns
from gateway.storage.tables import InboxStatus

app = typer.Typer(no_args_is_help=True, help="List or stop turns that have not ended.")

DOES = {
    InboxStatus.RUNNING: "is being answered",
    InboxStatus.WAITING: "waits for its turn",
    InboxStatus.RETRYING: "waits for a retry after {}",
    InboxStatus.PARKED: "waits for a sign-in at {}",
    InboxStatus.ASKED: "waits for an answer about {}",
}


@app.command("list")
def list_newest(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List the turns that have not ended, oldest first."""
    asyncio.run(_print_newest(limit, as_json=as_json))


@app.command()
def stop(
    reference: Annotated[str, typer.Argument(help="The turn's reference, as `understudy turns list` shows it.")],
) -> None:
    """Stop a turn, as /stop does in the chat. A running gateway or worker stops it."""
    asyncio.run(_stop(reference))


async def _print_newest(limit: int, *, as_json: bool) -> None:
    async with open_database() as database:
        turns = await OpenTurns(database).find(limit)
    if as_json:
        print_json(turns)
    else:
        print_table([_row(turn) for turn in turns], "All turns have ended.")


async def _stop(reference: str) -> None:
    async with open_database() as database:
        await OpenTurns(database).stop(reference)
    say("The turn stops as soon as a gateway or worker runs.")


def _row(turn: OpenTurn) -> dict[str, str]:
    age = timedelta(seconds=round((datetime.now(UTC) - turn.since).total_seconds()))
    does = DOES[InboxStatus(turn.status)].format(turn.waits_for)
    return {
        "reference": turn.reference,
        "person": f"{turn.channel} {turn.tenant} {turn.person}",
        "conversation": turn.conversation,
        "age": str(age),
        "does": f"{does}, and is stopping" if turn.is_stopping else does,
        "tries": str(turn.tries),
    }
