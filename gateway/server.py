import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import uvicorn

from gateway.gateway import Gateway
from gateway.request_context import ContextThreadPool, equip_loop
from oauth import SettingError

SWITCH_INTERVAL = 0.0005  # seconds after which a thread that works lets the loop run: Python's own 5 ms are an age here
GRACE = 5  # seconds that open requests have to end
THREADS = 64  # for tools that are not coroutine functions, and for blocking clients
THREADS_GRACE = 2.0  # seconds that these have to end when all else has
THREAD_NAME = "understudy-tool"

log = logging.getLogger(__name__)


class _Threads(ContextThreadPool):
    """Threads that the loop does not wait for when it ends: `serve` gives them a moment, and then leaves them."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve`, so that the lifespan ends before the process does."""

    def capture_signals(self) -> Any:
        return nullcontext()


def serve(gateway: Gateway, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serves a gateway until SIGINT or SIGTERM, and ends cleanly.

    Raises:
        SettingError: if a setting is rejected at the start, or the port is taken.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_serve(gateway, _listen(host, port), on_ready))
    _leave_threads()


def work(gateway: Gateway, on_ready: Callable[[], None]) -> None:
    """Plays a gateway's messages until SIGINT or SIGTERM, and ends cleanly.

    Raises:
        SettingError: if a setting is rejected at the start.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_work(gateway, on_ready))
    _leave_threads()


def _settle_memory() -> None:
    """Has the garbage collector look less often, and pass over what the start has made, which stays.

    A look at all of that takes 100 ms, in which no webhook is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _leave_threads() -> None:
    """Ends the process now if a tool still runs in a thread, which Python would wait for without end."""
    deadline = time.monotonic() + THREADS_GRACE
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                log.warning("a tool still runs in a thread and is left behind")
                logging.shutdown()
                os._exit(0)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise SettingError(f"--host {host} --port {port} cannot be listened on: {error.strerror}.") from None
    return listener


async def _work(gateway: Gateway, on_ready: Callable[[], None]) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    equip_loop(_Threads(THREADS, thread_name_prefix=THREAD_NAME))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with gateway.worker():
        _settle_memory()
        on_ready()
        await told.wait()


async def _serve(gateway: Gateway, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    app = gateway.asgi()
    equip_loop(_Threads(THREADS, thread_name_prefix=THREAD_NAME))
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
        _settle_memory()
        on_ready()
        await server.serve(sockets=[listener])
