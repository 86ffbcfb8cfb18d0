"""`understudy deadletters …`, on an operator's terminal."""

from collections.abc import Sequence
from dataclasses import asdict

from gateway.cli.terminal import print_json, print_table, stored
from gateway.operations.dead_letters import DeadLetter, DeadLetters
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
    """Let dead letters be tried again; return what to tell the operator."""
    async with stored() as database:
        dead_letters = DeadLetters(database)
        chosen = await _chosen(dead_letters, names, every)
        changed = await dead_letters.retry(chosen)
    told = f"{len(changed)} to be tried again. A gateway or a worker that runs takes them up by itself."
    return told + _left_alone(chosen, changed)


async def drop(names: Sequence[str], *, every: bool) -> str:
    """Drop dead letters; return what to tell the operator."""
    async with stored() as database:
        dead_letters = DeadLetters(database)
        chosen = await _chosen(dead_letters, names, every)
        changed = await dead_letters.drop(chosen)
    return f"{len(changed)} dropped." + _left_alone(chosen, changed)


def _left_alone(chosen: Sequence[DeadLetter], changed: Sequence[DeadLetter]) -> str:
    kept = {letter.id for letter in changed}
    others = list(dict.fromkeys(letter.id for letter in chosen if letter.id not in kept))
    if not others:
        return ""
    return f" Left alone, since they were retried or dropped meanwhile: {', '.join(others)}."


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
