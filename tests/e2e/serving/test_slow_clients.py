"""Clients that send half a request and then nothing, or one byte each second."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
from e2e.conftest import Serve
from peers.telegram import updates
from peers.wait import wait_until

LONGEST = 25.0  # seconds: the server's limits are ten for the head of a request and ten for its body
SECRET = f"X-Telegram-Bot-Api-Secret-Token: {updates.SECRET_TOKEN}"
UPDATE = f"POST /telegram/webhook HTTP/1.1\r\nHost: x\r\n{SECRET}\r\n"

# The bytes that each client sends, by the client's name.
SENT = {
    "nothing": "",
    "half a request line": "POST /slack/ev",
    "half a head": "POST /slack/events HTTP/1.1\r\nHost: x\r\nX-",
    "half a body": UPDATE + 'Content-Length: 1000\r\n\r\n{"up',
    "half a chunk": UPDATE + "Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    "a body that nobody reads": "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
    "half of a second request": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea",
    "an upgrade": "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
}


class Client:
    """A connection that sends some bytes at once, and then one more each second.

    Args:
        sent: the bytes that are sent at once.
        drip: the byte that is sent each second. If it is empty, nothing more is sent.
    """

    def __init__(self, url: str, sent: str, drip: bytes) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((str(address.hostname), int(address.port or 0)))
        self._socket.setblocking(False)
        self._socket.sendall(sent.encode())
        self._drip = drip
        self._dripped = time.monotonic()

    def is_cut_off(self) -> bool:
        try:
            if self._drip and time.monotonic() - self._dripped > 1:
                self._dripped = time.monotonic()
                self._socket.send(self._drip)
            while self._socket.recv(65536):
                pass
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return True

    def close(self) -> None:
        self._socket.close()


def clients(url: str) -> Iterator[tuple[str, Client]]:
    for name, sent in SENT.items():
        yield name, Client(url, sent, b"")
        if name != "an upgrade":
            yield f"{name}, and more of it", Client(url, sent, b"x")


def test_connections_with_an_unfinished_request_are_closed(serve: Serve) -> None:
    served = serve(CHANNEL="telegram")
    with ExitStack() as stack:
        opened = dict(clients(served.url))
        for client in opened.values():
            stack.callback(client.close)

        def left() -> list[str]:
            return [name for name, client in opened.items() if not client.is_cut_off()]

        assert len(left()) > 10  # the server still waits for the rest of their requests
        assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200
        wait_until(lambda: not left(), LONGEST, "all connections are closed")
        # A client that closes its connection in the middle of the body causes no error.
        gone = Client(served.url, SENT["half a body"], b"")
        gone.close()
        assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200
    assert served.stop() == 0
    assert "Traceback" not in served.output()
    assert " ERROR " not in served.output()
