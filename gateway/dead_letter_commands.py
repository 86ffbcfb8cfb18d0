"""`understudy deadletters …`, on an operator's terminal."""

from collections.abc import Sequence
from dataclasses import asdict

from gateway.dead_letters import DeadLetter, DeadLetters
from gateway.terminal import print_json, print_table, stored
from oauth import SettingError


async def print_all(limit: int, *, as_json: bool) -> None:
    """Prints the newest, one a line."""
    async with stored() as database:
        letters = await DeadLetters(database).find(limit)
    if as_json:
        print_json(letters)
    else:
        print_table([_row(letter) for letter in letters], "There are no dead letters.")


async def print_one(name: str) -> None:
    """Prints all that is stored of an id or a reference."""
    async with stored() as database:
        for letter in await DeadLetters(database).get(name):
            for field, value in asdict(letter).items():
                print(f"{field:<13} {value}")  # noqa: T201


async def retry(names: Sequence[str], *, every: bool) -> str:
    """Lets them be tried again; returns what to tell the operator."""
    async with stored() as database:
        dead_letters = DeadLetters(database)
        count = await dead_letters.retry(await _chosen(dead_letters, names, every))
    return f"{count} to be tried again. A gateway or a worker that runs takes them up by itself."


async def drop(names: Sequence[str], *, every: bool) -> str:
    """Drops them; returns what to tell the operator."""
    async with stored() as database:
        dead_letters = DeadLetters(database)
        count = await dead_letters.drop(await _chosen(dead_letters, names, every))
    return f"{count} dropped."


async def _chosen(dead_letters: DeadLetters, names: Sequence[str], every: bool) -> list[DeadLetter]:
    if bool(names) == every:
        raise SettingError("Name dead letters by id or reference, or say --all.")
    if every:
        return await dead_letters.find()
    return [letter for name in names for letter in await dead_letters.get(name)]


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
