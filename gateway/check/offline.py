"""Block the network for tools that are being checked, except for this machine's own addresses."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")

_state = {"depth": 0, "installed": 0}  # an audit hook cannot be removed, so it is switched off


@contextmanager
def offline() -> Iterator[None]:
    """Keep the sockets of this process from reaching other machines (https://peps.python.org/pep-0578/)."""
    if not _state["installed"]:
        sys.addaudithook(_refuse)
        _state["installed"] = 1
    _state["depth"] += 1
    try:
        yield
    finally:
        _state["depth"] -= 1


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _state["depth"] or event not in _EVENTS:
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = address[0] if isinstance(address, tuple) else address
    by_name = event.startswith("socket.get")
    if (isinstance(address, tuple) or by_name) and not _is_local(host):
        raise OSError(errno.ENETUNREACH, "the network is blocked while tools are checked")


def _is_local(host: Any) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False
