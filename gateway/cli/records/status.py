"""`understudy status`: what comes in, what waits, and which processes run."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.options import AsJson
from gateway.cli.terminal import open_database, print_json, print_table, say, say_loading
from gateway.operations.status import ChannelState, ProcessState, Queue, QueueState, Status, read_status
from oauth.settings import placeholders

WHAT = {
    Queue.WAITING: "messages waiting for their turn",
    Queue.RUNNING: "messages being answered",
    Queue.RETRYING: "messages waiting for a retry",
    Queue.SIGN_IN: "messages waiting for a sign-in",
    Queue.QUESTION: "messages waiting for an answer",
    Queue.DELIVERIES: "deliveries waiting to be sent",
    Queue.SCHEDULED: "deliveries at a later time",
    Queue.HELD: "private deliveries waiting until the person writes directly",
    Queue.LATE: "late deliveries waiting until the person writes",
}


def status(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE[:NAME]]",
            help="The file that you serve: its database, and all its channels. Default: UNDERSTUDY_DATABASE_URL.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what comes in and is refused, what runs and waits, and which processes are alive.

    The exit status is 1 if messages wait that no process answers.
    """
    found = asyncio.run(_of_environment()) if target is None else _of_file(target)
    if as_json:
        print_json([found])
    else:
        _print(found)
    raise typer.Exit(ExitCode.PROBLEM if found.is_stuck else ExitCode.OK)


async def _of_environment() -> Status:
    async with open_database() as database:
        return await read_status(database)


def _of_file(target: str) -> Status:
    say_loading(target)
    from gateway.configuration.loader import load_gateway  # imported here, because the import takes a moment

    with placeholders():  # whoever looks needs no tokens
        gateway = load_gateway(target)

    async def read() -> Status:
        async with gateway.alongside():
            return await read_status(gateway.parts.backend.database, gateway.interfaces)

    return asyncio.run(read())


def _print(found: Status) -> None:
    print_table([_channel_row(channel) for channel in found.channels], "No message has come in yet.")
    typer.echo()
    print_table([_process_row(process) for process in found.processes], "No process of the gateway is alive.")
    typer.echo()
    print_table([_queue_row(state) for state in found.queues], "")
    typer.echo(f"\nDead letters: {found.dead_letters}")
    if found.is_stuck:
        say("Messages wait, and no process answers them: start `understudy serve` or `understudy worker`.")


def _channel_row(channel: ChannelState) -> dict[str, str]:
    return {
        "channel": channel.channel,
        "last accepted (UTC)": _time(channel.accepted_at),
        "last refused (UTC)": _time(channel.refused_at),
        "why": "-" if channel.reason is None else f"{channel.reason} (answered {channel.status_code})",
    }


def _process_row(process: ProcessState) -> dict[str, str]:
    does = (("accepts", process.takes_events), ("answers", process.plays_turns))
    return {
        "process": f"{process.host} {process.pid}",
        "does": " and ".join(verb for verb, is_so in does if is_so),
        "version": process.version,
        "started (UTC)": _time(process.started_at),
        "last seen (UTC)": _time(process.seen_at),
    }


def _queue_row(state: QueueState) -> dict[str, str]:
    return {
        "number": str(state.number),
        "what": WHAT[state.queue],
        "oldest (UTC)": _time(state.oldest_at),
        "its reference": state.oldest_reference or "-",
    }


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
