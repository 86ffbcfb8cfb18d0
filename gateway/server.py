import asyncio
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import uvicorn

from gateway.gateway import Gateway
from oauth import SettingError

GRACE = 5  # seconds that open requests have to end
THREADS = 64  # for tools that are not coroutine functions, and for blocking clients


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve`, so that the lifespan ends before the process does."""

    def capture_signals(self) -> Any:
        return nullcontext()


def serve(gateway: Gateway, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serves a gateway until SIGINT or SIGTERM, and ends cleanly.

    Raises:
        SettingError: if a setting is rejected at the start, or the port is taken.
    """
    asyncio.run(_serve(gateway, _listen(host, port), on_ready))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise SettingError(f"--host {host} --port {port} cannot be listened on: {error.strerror}.") from None
    return listener


async def _serve(gateway: Gateway, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    app = gateway.asgi()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="tools"))
    async with gateway.lifespan():  # here, and not by the server, which would hide what it raises
        server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,  # it would hold the codes that come to the OAuth callback
                timeout_graceful_shutdown=GRACE,
                server_header=False,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.handle_exit, number, None)
        on_ready()
        await server.serve(sockets=[listener])
