"""A program whose processes accept messages of the same people at the same time, and play no turns.

Usage: write_at_once.py DATABASE_URL PROCESSES PEOPLE TIMES LIMIT

Each process accepts TIMES messages of each person, and prints how many of them were new.
"""

import asyncio
import multiprocessing
import random
import sys
from collections.abc import Iterable
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.access.limits import TurnLimits
from gateway.channels import Event
from gateway.inbox.inbox import Inbox
from gateway.inbox.intake import Intake
from gateway.storage.connect import connect
from gateway.timings import DEFAULT_TIMINGS
from toolkits import Conversation


class Nobody:
    """A dispatcher that plays no turns."""

    owner = None

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        return

    def wake(self, conversation_ids: Iterable[int]) -> None:
        return


class Plain:
    """A presenter that only divides texts into parts."""

    def parts(self, markdown: str) -> list[str]:
        return [markdown]


async def is_answer(connection: AsyncConnection, event: Event) -> bool:
    return False


async def write(url: str, process: int, begin: Barrier, people: int, times: int, limit: int) -> None:
    database = connect(url)
    await database.open()
    presenters: Any = {"stage": Plain()}
    dispatcher: Any = Nobody()
    limits = TurnLimits(database, presenters, is_answer, {"day": limit})
    intake = Intake(Inbox(database, dispatcher, timedelta(hours=1), DEFAULT_TIMINGS, limits=limits), 100_000, 30.0)
    await intake.start()
    authors = [f"p{number}" for number in range(people)] * times
    random.Random(process).shuffle(authors)  # each process begins with other people
    events = [
        Event(f"{process}-{number}", _place(author, process), "{}", author=author)
        for number, author in enumerate(authors)
    ]
    begin.wait(30)
    accepted = await asyncio.gather(*map(intake.accept, events))
    await intake.stop()
    await database.close()
    print(sum(accepted), flush=True)


def _place(author: str, process: int) -> Conversation:
    """Return a conversation of a person that only one process locks."""
    return Conversation("stage", "T1", f"{author}/{process}", shared=False)


def run(*arguments: Any) -> None:
    asyncio.run(write(*arguments))


if __name__ == "__main__":
    url, processes, people, times, limit = sys.argv[1], *map(int, sys.argv[2:])
    context = multiprocessing.get_context("fork")  # the modules are imported once
    begin = context.Barrier(processes)
    running = [context.Process(target=run, args=(url, each, begin, people, times, limit)) for each in range(processes)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    sys.exit(max(each.exitcode or 0 for each in running))
