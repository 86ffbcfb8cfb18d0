"""A limited number of connections to one MCP server, each of one person."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from oauth import Identity
from toolkits.errors import ToolError
from toolkits.mcp.connection import Connection
from toolkits.mcp.timings import DEFAULT_MCP_TIMINGS, MCPTimings


@dataclass
class _Entry:
    """A connection in the pool. A `retired` one has left the pool, and closes after its last call."""

    connection: Connection
    credential: str = field(repr=False)
    users: int = 0
    used_at: float = 0.0
    retired: bool = False


class ConnectionPool:
    """Connections of people, each used only by its person. When it is full, the one idle for longest is closed.

    Args:
        name: the server's name in messages.
        most: the maximum number of connections.
        open_connection: opens a connection with a person's access token.
    """

    def __init__(
        self,
        name: str,
        most: int,
        open_connection: Callable[[str], Awaitable[Connection]],
        timings: MCPTimings = DEFAULT_MCP_TIMINGS,
    ) -> None:
        self._name = name
        self._timings = timings
        self._most = most
        self._open_connection = open_connection
        self._entries: dict[Identity, _Entry] = {}
        self._opening: dict[Identity, asyncio.Lock] = {}
        self._opening_count = 0
        self._freed = asyncio.Condition()
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def start(self) -> None:
        """Start to close idle connections in the background."""
        self._sweeper = asyncio.create_task(self._sweep(), name=f"mcp-{self._name}-sweeper")

    async def stop(self) -> None:
        """Close all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
            self._sweeper = None
        entries, self._entries = list(self._entries.values()), {}
        await asyncio.gather(*(entry.connection.stop() for entry in entries))

    @asynccontextmanager
    async def connection(self, identity: Identity, credential: str) -> AsyncIterator[Connection]:
        """Yield a person's connection. One that was opened with another credential is replaced.

        Raises:
            ToolError: if all connections stay in use.
        """
        entry = await self._take(identity, credential)
        try:
            yield entry.connection
        finally:
            entry.users -= 1
            entry.used_at = time.monotonic()
            if entry.retired and not entry.users:
                await entry.connection.stop()
            async with self._freed:
                self._freed.notify_all()

    async def drop(self, identity: Identity) -> None:
        """Take a person's connection out of the pool, and close it after its last call."""
        if entry := self._entries.pop(identity, None):
            entry.retired = True
            if not entry.users:
                await entry.connection.stop()

    async def _take(self, identity: Identity, credential: str) -> _Entry:
        lock = self._opening.setdefault(identity, asyncio.Lock())
        async with lock:
            entry = self._entries.get(identity)
            if entry is not None and entry.credential != credential:
                await self.drop(identity)
                entry = None
            if entry is None:
                await self._make_room()
                try:
                    entry = _Entry(await self._open_connection(credential), credential)
                    self._entries[identity] = entry
                finally:
                    self._opening_count -= 1
            entry.users += 1
        if not lock.locked():
            self._opening.pop(identity, None)
        return entry

    async def _make_room(self) -> None:
        """Reserve a place for one more connection."""
        try:
            async with asyncio.timeout(self._timings.pool), self._freed:
                while len(self._entries) + self._opening_count >= self._most:
                    idle = [(entry.used_at, identity) for identity, entry in self._entries.items() if not entry.users]
                    if idle:
                        await self.drop(min(idle, key=lambda each: each[0])[1])
                    else:
                        await self._freed.wait()
                self._opening_count += 1
        except TimeoutError:
            raise ToolError(f"Too many people are using {self._name} at the moment. Try again in a minute.") from None

    async def _sweep(self) -> None:
        """Close idle connections, at a regular interval."""
        while True:
            await asyncio.sleep(self._timings.sweep)
            long_ago = time.monotonic() - self._timings.idle
            for identity, entry in list(self._entries.items()):
                if not entry.users and entry.used_at < long_ago:
                    await self.drop(identity)
