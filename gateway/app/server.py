"""Run a gateway as a process: the web server, the worker, signals and a clean shutdown."""

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any

import uvicorn

from gateway.app.connections import MOST_CONNECTIONS, LimitedHttpToolsProtocol
from gateway.app.gateway import Gateway
from gateway.executor import THREAD_NAME, TOOL_THREAD_NAME
from oauth import SettingError

SWITCH_INTERVAL = 0.0005  # seconds after which a busy thread lets the loop run: Python's default of 5 ms is too long
REQUEST_GRACE = 5  # seconds that open requests have to end at a shutdown
CANNOT_LISTEN = {
    errno.EACCES: "Choose a --port from 1024: the lower ones need the capability CAP_NET_BIND_SERVICE.",
    errno.EADDRINUSE: "Stop the program that listens there, or choose another --port.",
    errno.EADDRNOTAVAIL: "No network interface of this machine has that address: choose another --host.",
}
LEFTOVER_GRACE = 2.0  # seconds that the remaining tasks, and then threads, have to end after the shutdown

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve`, so that the lifespan ends before the process does."""

    def capture_signals(self) -> Any:
        return nullcontext()


def serve(gateway: Gateway, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve a gateway until SIGINT or SIGTERM, and shut down cleanly.

    Args:
        listener: the socket that `listen` returns.
        on_ready: called when the gateway has started.

    Raises:
        SettingError: if a setting is rejected at the start.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_abandoning_tasks(_serve(gateway, listener, on_ready)))
    _abandon_threads()


def work(gateway: Gateway, on_ready: Callable[[], None]) -> None:
    """Play the messages of a gateway until SIGINT or SIGTERM, and shut down cleanly.

    Args:
        on_ready: called when the worker has started.

    Raises:
        SettingError: if a setting is rejected at the start.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_abandoning_tasks(_work(gateway, on_ready)))
    _abandon_threads()


def _settle_memory() -> None:
    """Let the garbage collector run, but less often and skip the objects that exist at the start, which stay.

    A collection of all these objects takes 200 ms, during which no webhook is answered. It finds less than a megabyte
    of garbage even now, which is therefore left where it is.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)


async def _abandoning_tasks(main: Coroutine[Any, Any, None]) -> None:
    """Run the main coroutine of the process. If a task swallows its cancellation and outlives it, exit the process.

    `asyncio.run` would wait forever for that task.
    """
    await main
    late = asyncio.all_tasks() - {asyncio.current_task()}
    for task in late:
        task.cancel()
    if late:
        late = (await asyncio.wait(late, timeout=LEFTOVER_GRACE))[1]
    if late:
        _exit_now(f"{len(late)} tasks swallow their cancellation and are left behind at the exit")


def _abandon_threads() -> None:
    """Exit the process if a tool still runs in a thread: Python would wait for the thread forever."""
    deadline = time.monotonic() + LEFTOVER_GRACE
    for thread in threading.enumerate():
        if thread.name.startswith((TOOL_THREAD_NAME, THREAD_NAME)):
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                _exit_now("a tool still runs in a thread and is left behind at the exit")


def _exit_now(why: str) -> None:
    log.warning("%s", why)
    logging.shutdown()
    os._exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    It names its protocol, since asyncio turns off Nagle's algorithm only for connections of such sockets. With it, the
    body of each answer on a connection that is kept open would wait 40 ms for the acknowledgement of its headers.

    Raises:
        SettingError: if the gateway cannot listen there.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        advice = CANNOT_LISTEN.get(error.errno or 0, "Choose another host or port.")
        raise SettingError(
            f"The gateway cannot listen on --host {host} --port {port}: {error.strerror}. {advice}"
        ) from None
    return listener


async def _work(gateway: Gateway, on_ready: Callable[[], None]) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with gateway.worker():
        _settle_memory()
        on_ready()
        await told.wait()


async def _serve(gateway: Gateway, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    app = gateway.asgi()
    async with gateway.lifespan():  # not run by the server, which would hide its exceptions
        server = _Server(
            uvicorn.Config(
                app,
                http=LimitedHttpToolsProtocol,
                ws="none",
                limit_concurrency=MOST_CONNECTIONS,
                lifespan="off",
                log_config=None,
                access_log=False,  # it would contain the codes in the addresses of OAuth callbacks
                timeout_graceful_shutdown=REQUEST_GRACE,
                server_header=False,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.handle_exit, number, None)
        _settle_memory()
        on_ready()
        await server.serve(sockets=[listener])
