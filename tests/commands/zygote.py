"""A program that has imported Understudy, and forks itself on request to run `understudy …`.

A fork takes a tenth of the two seconds of processor time that the imports take. The program has one thread and no event
loop, so that its forks behave like new processes: each runs `main`, as the console script does, and ends like any
program. `commands.process` connects to the socket that is the program's standard input, and a fork answers the requests
of each connection. When its connection is closed, this fork kills the commands that it has started and ends; without
connections, the program ends. So no process outlives the tests, even if these are killed.

The program's argument is the address of the socket.
"""

import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

LARGEST = 100_000  # bytes of the largest request
LOOK_INTERVAL = 1.0  # seconds between two looks for closed connections
PRELOADED = (
    "alembic.command",
    "anyio._backends._asyncio",
    "gateway.app.server",
    "gateway.attachments.sessions",
    "gateway.cli.main",
    "gateway.configuration.building",
    "gateway.configuration.loader",
    "gateway.demo",
    "gateway.engines.pydantic_ai",
    "gateway.inbox.distributed",
    "gateway.pubsub.postgres",
    "gateway.storage.postgres",
    "genai_prices.data",
    "httpcore",
    "interfaces.slack.interface",
    "interfaces.telegram.interface",
    "interfaces.web",
    "interfaces.whatsapp.interface",
    "oauth.google",
    "oauth.oauth2",
    "pydantic_ai.models.function",
    "pydantic_ai.models.openai",
    "pydantic_ai.models.test",
    "toolkits.google",
    "twilio.rest.api",
    "twilio.rest.messaging",
    "uvicorn.protocols.http.httptools_impl",
)


@contextmanager
def locked(address: Path) -> Iterator[None]:
    """Let only one process at a time connect to the zygote at an address, start it there, or end it."""
    folder = os.open(address.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def log_of(address: Path) -> Path:
    return address.with_suffix(".log")


def accept(listener: socket.socket, address: Path) -> socket.socket:
    """Fork for each connection. Return the connection in a fork; end the program when the last connection is closed."""
    serving: set[int] = set()
    while True:
        if select.select([listener], [], [], LOOK_INTERVAL)[0]:
            connection, _ = listener.accept()
            pid = os.fork()
            if pid == 0:
                listener.close()
                return connection
            connection.close()
            serving.add(pid)
        serving = {pid for pid in serving if exit_status(pid) is None}
        if not serving:
            with locked(address):
                if not select.select([listener], [], [], 0)[0]:
                    address.unlink()
                    log_of(address).unlink()
                    sys.exit()


def fork_on_request(control: socket.socket) -> None:
    """Answer requests without an end. Only a fork that has to run a command returns from this function."""
    running: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST, 2)
        if not message:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            os._exit(0)
        request = json.loads(message)
        reply: int | None
        if "pid" in request:
            reply = exit_status(request["pid"])
            if reply is not None:
                running.discard(request["pid"])
        else:
            reply = os.fork()
            if reply == 0:
                control.close()
                become(request, descriptors)
                return
            running.add(reply)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(json.dumps(reply).encode())


def exit_status(pid: int) -> int | None:
    """Return the exit status of a fork, which is negative after a signal, or `None` if the fork still runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Set the arguments, directory, environment and outputs of this process to those of a request."""
    os.dup2(descriptors[0], 1)
    os.dup2(descriptors[1], 2)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background may begin without it
    sys.path[0] = os.path.dirname(request["argv"][0])


if __name__ == "__main__":
    found = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in PRELOADED:
        import_module(name)
    for path, _ in import_module("gateway.cli.main").COMMANDS.values():
        import_module(path.partition(":")[0])
    import_module("pydantic_ai.messages").ModelMessagesTypeAdapter.dump_json([])  # builds its schema
    gc.freeze()  # the garbage collector would write to these objects, and their memory would no longer be shared
    fork_on_request(accept(found, Path(sys.argv[1])))
    from gateway.cli.main import main

    sys.exit(main())
