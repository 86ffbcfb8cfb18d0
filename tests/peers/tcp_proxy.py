"""A TCP proxy that can make connections half-open, as a firewall does that drops them without telling either side."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

CHUNK = 65536  # bytes


class TcpProxy:
    """Forward connections to a server, in a thread with its own event loop.

    `silence` makes all connections half-open that are open at that moment: the proxy accepts bytes from either side and
    drops them, and closes neither side. Later connections work.

    Args:
        target: a host and a port, or the path of a Unix-domain socket.
    """

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="TcpProxy", daemon=True)
        self._generation = 0
        self._last_words: list[bytes] = []
        self._pumps: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def silence(self) -> None:
        """Forward nothing more on the connections that are open now."""
        self._generation += 1

    def silence_after(self, *last_words: bytes) -> None:
        """Call `silence` once clients have sent these byte strings, one after the other.

        The last of them still reaches the server, but the server's answer to it does not reach the client.
        """
        self._last_words = list(last_words)

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self._generation
        if isinstance(self._target, Path):
            server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        else:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            pump = self._loop.create_task(self._pump(source, sink, generation))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        try:
            with suppress(ConnectionError):
                while data := await source.read(CHUNK):
                    if generation != self._generation:
                        continue
                    if self._last_words and self._last_words[0] in data:
                        del self._last_words[0]
                        if not self._last_words:
                            self.silence()
                    sink.write(data)
                    await sink.drain()
                if generation != self._generation:
                    await asyncio.Event().wait()  # a half-open connection is not closed on the other side either
        finally:
            sink.close()
