"""Send requests over several connections, and measure how long each takes."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit


class LoadResult(NamedTuple):
    """The result of a load.

    Attributes:
        rate: requests per second.
        median: the median time of a request, in milliseconds.
        p99: the 99th percentile of these times, in milliseconds.
    """

    rate: float
    median: float
    p99: float


async def load(url: str, requests: Sequence[bytes], senders: int) -> LoadResult:
    """Send requests over several connections. Each connection waits for an answer before it sends its next request.

    Args:
        requests: whole HTTP/1.1 requests, as bytes.
        senders: the number of connections.

    Raises:
        RuntimeError: if an answer has another status than 200.
    """
    waiting, latencies = iter(requests), list[float]()
    connections = [await _connect(url) for _ in range(senders)]
    began = time.perf_counter()
    await asyncio.gather(*(_send(connection, waiting, latencies) for connection in connections))
    took = time.perf_counter() - began
    for _, writer in connections:
        writer.close()
    latencies.sort()
    return LoadResult(len(latencies) / took, _percentile(latencies, 0.5) * 1000, _percentile(latencies, 0.99) * 1000)


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _send(connection, waiting, latencies: list[float]) -> None:  # type: ignore[no-untyped-def]
    reader, writer = connection
    for request in waiting:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.partition(b"\r\n")[0].decode())
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if int(length or 0):
            await reader.readexactly(int(length))
        latencies.append(time.perf_counter() - began)
