"""`understudy deadletters …`: messages and deliveries that failed for good."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Limit, WithContent
from gateway.cli.terminal import open_database, print_json, print_table, say
from gateway.operations.dead_letters import DeadLetter, DeadLetters
from oauth import SettingError

app = typer.Typer(no_args_is_help=True, help="List, retry or drop messages and deliveries that failed for good.")

Names = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids or references.")]
Every = Annotated[bool, typer.Option("--all", help="All dead letters.")]


@app.command("list")
def list_newest(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List dead letters, oldest first: messages have ids like m1, deliveries like d1."""
    asyncio.run(_print_newest(limit, as_json=as_json))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="An id or a reference.")],
    content: WithContent = False,
    as_json: AsJson = False,
) -> None:
    """Show what is stored about a dead letter."""
    asyncio.run(_print_all_of(name, content=content, as_json=as_json))


@app.command()
def retry(names: Names = None, every: Every = False) -> None:
    """Retry dead letters. A running gateway or worker picks them up."""
    asyncio.run(_retry(names or [], every))


@app.command()
def drop(names: Names = None, every: Every = False) -> None:
    """Remove dead letters from the list."""
    asyncio.run(_drop(names or [], every))


async def _print_newest(limit: int, *, as_json: bool) -> None:
    async with open_database() as database:
        letters = await DeadLetters(database).find(limit)
    if as_json:
        print_json(letters)
    else:
        print_table([_row(letter) for letter in letters], "There are no dead letters.")


async def _print_all_of(name: str, *, content: bool, as_json: bool) -> None:
    async with open_database() as database:
        letters = await DeadLetters(database).get(name, content=content)
    if as_json:
        print_json(letters)
        return
    for letter in letters:
        for field, value in asdict(letter).items():
            if content or field != "content":
                typer.echo(f"{field:<16} {value}")


async def _retry(names: Sequence[str], every: bool) -> None:
    async with open_database() as database:
        dead_letters = DeadLetters(database)
        chosen = await _chosen(dead_letters, names, every)
        changed = await dead_letters.retry(chosen)
    result = f"{len(changed)} will be retried as soon as a gateway or worker runs."
    say(result + _left_unchanged(chosen, changed))


async def _drop(names: Sequence[str], every: bool) -> None:
    async with open_database() as database:
        dead_letters = DeadLetters(database)
        chosen = await _chosen(dead_letters, names, every)
        changed = await dead_letters.drop(chosen)
    say(f"{len(changed)} dropped." + _left_unchanged(chosen, changed))


async def _chosen(dead_letters: DeadLetters, names: Sequence[str], every: bool) -> list[DeadLetter]:
    if bool(names) == every:
        raise SettingError("Name dead letters by id or reference, or give --all.")
    if every:
        return await dead_letters.find()
    return [letter for name in names for letter in await dead_letters.get(name)]


def _left_unchanged(chosen: Sequence[DeadLetter], changed: Sequence[DeadLetter]) -> str:
    kept = {letter.id for letter in changed}
    others = list(dict.fromkeys(letter.id for letter in chosen if letter.id not in kept))
    if not others:
        return ""
    return f" Left unchanged, because they were retried or dropped meanwhile: {', '.join(others)}."


def _row(letter: DeadLetter) -> dict[str, str]:
    return {
        "id": letter.id,
        "reference": letter.reference,
        "at (UTC)": f"{letter.at:%Y-%m-%d %H:%M:%S}",
        "conversation": f"{letter.channel} {letter.tenant} {letter.conversation}",
        "tries": str(letter.tries),
        "status": letter.status,
        "reason": letter.reason,
    }
