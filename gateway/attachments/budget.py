"""Bound how many bytes of files the turns of a process hold at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil

from toolkits import Attachment

MOST_MEBIBYTES = 20  # at once, of which models' libraries make six times as many in memory
UNKNOWN_MEBIBYTES = 5  # that a file is taken to have whose size the platform does not say
MEBIBYTE = 2**20


class FileBudget:
    """Lets turns with files wait until there is room for their files. Turns without files never wait."""

    def __init__(self, most: int = MOST_MEBIBYTES) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def room_for(self, attachments: Sequence[Attachment]) -> AsyncIterator[None]:
        """Wait until there is room for files, first come, first served, and hold it in the block.

        A message with more than the whole budget waits until all of it is free.
        """
        sizes = [
            UNKNOWN_MEBIBYTES if each.size is None else ceil(each.size / MEBIBYTE) for each in attachments if each.fetch
        ]
        async with AsyncExitStack() as held:
            if sizes:
                async with self._first:  # so that nobody waits for what another one has collected and waits, too
                    for _ in range(min(sum(sizes), self._most)):
                        await held.enter_async_context(self._free)
            yield
