"""Limit how many bytes of files the turns of a process hold in memory at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil

from toolkits import Attachment

MOST_MEBIBYTES = 20  # of files at once; the models' libraries need six times as much memory for them
UNKNOWN_MEBIBYTES = 5  # the assumed size of a file if the platform does not report it
MEBIBYTE = 2**20


class FileBudget:
    """Makes turns with files wait until there is room for their files. Turns without files never wait."""

    def __init__(self, most: int = MOST_MEBIBYTES) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def room_for(self, attachments: Sequence[Attachment]) -> AsyncIterator[None]:
        """Wait until there is room for files, first come, first served, and hold it until the block ends.

        A message whose files exceed the budget waits until the whole budget is free.
        """
        sizes = [
            UNKNOWN_MEBIBYTES if each.size is None else ceil(each.size / MEBIBYTE) for each in attachments if each.fetch
        ]
        async with AsyncExitStack() as held:
            if sizes:
                async with self._first:  # or two turns could each hold a part and wait for the other
                    for _ in range(min(sum(sizes), self._most)):
                        await held.enter_async_context(self._free)
            yield
