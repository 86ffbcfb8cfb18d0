"""Turns with large files wait for one another, and other turns do not wait."""

import asyncio

from peers.wait import wait_until_async

from gateway.attachments.budget import FileBudget
from toolkits import Attachment, AttachmentKind

MEBIBYTE = 2**20


async def _fetch():  # type: ignore[no-untyped-def]
    yield b""


def file(size: int | None) -> Attachment:
    return Attachment(AttachmentKind.IMAGE, size=size, fetch=_fetch)


class Turns:
    """Turns that hold their share of the budget until they are cancelled."""

    def __init__(self, budget: FileBudget) -> None:
        self.budget = budget
        self.running: list[str] = []

    async def run(self, name: str, *files: Attachment) -> None:
        async with self.budget.room_for(files):
            self.running.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.running.remove(name)

    def begin(self, name: str, *files: Attachment) -> "asyncio.Task[None]":
        return asyncio.create_task(self.run(name, *files))

    async def until(self, *running: str) -> None:
        await wait_until_async(lambda: self.running == list(running), what=f"{running} run")


async def test_large_files_wait_and_turns_without_files_do_not() -> None:
    turns = Turns(FileBudget(10))
    first = turns.begin("first", file(8 * MEBIBYTE))
    await turns.until("first")
    second = turns.begin("second", file(4 * MEBIBYTE))
    third = turns.begin("third", file(1))  # it would fit, but came later
    plain = turns.begin("plain", Attachment(AttachmentKind.LOCATION, text="here"))
    await turns.until("first", "plain")
    first.cancel()
    await turns.until("plain", "second", "third")
    await _cancel(second, third, plain)


async def test_a_message_larger_than_the_budget_runs_alone_and_unknown_sizes_count() -> None:
    turns = Turns(FileBudget(10))
    huge = turns.begin("huge", file(30 * MEBIBYTE))
    await turns.until("huge")
    unknown = [turns.begin(f"{number}", file(None)) for number in range(3)]
    huge.cancel()
    await turns.until("0", "1")
    unknown[0].cancel()
    await turns.until("1", "2")
    await _cancel(*unknown)


async def test_a_turn_that_is_cancelled_while_it_waits_gives_back_what_it_collected() -> None:
    turns = Turns(FileBudget(10))
    first = turns.begin("first", file(6 * MEBIBYTE))
    await turns.until("first")
    waiting = turns.begin("waiting", file(8 * MEBIBYTE))
    await asyncio.sleep(0)
    await _cancel(waiting)
    last = turns.begin("last", file(4 * MEBIBYTE))
    await turns.until("first", "last")
    await _cancel(first, last)


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
