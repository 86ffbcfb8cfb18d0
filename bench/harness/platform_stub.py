"""A stand-in for the APIs of Slack and Telegram. It answers every call at once and records when each text arrived."""

import asyncio
import json
import time
from urllib.parse import parse_qs


class PlatformStub:
    """A server that runs in the current event loop between `start()` and `stop()`.

    Attributes:
        heard: the `time.perf_counter()` at which Telegram's sendMessage received each text, by text.
    """

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self._came = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()

    async def wait_for(self, count: int) -> None:
        """Wait until a number of different texts have arrived.

        Raises:
            TimeoutError: if no text arrives for two minutes.
        """
        while len(self.heard) < count:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 120)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                answer = json.dumps(self._answer(head.split(b" ", 2)[1].decode(), body)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(answer), answer)
                )
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # the server is stopped
            writer.close()

    def _answer(self, path: str, body: bytes) -> object:
        if path.endswith("/getme"):
            return {"ok": True, "result": {"id": 123456, "is_bot": True, "first_name": "B", "username": "b"}}
        if path.endswith("/sendmessage"):
            self._hear(parse_qs(body.decode())["text"][0])
            chat = {"id": 1, "type": "private"}
            return {"ok": True, "result": {"message_id": 1, "date": int(time.time()), "chat": chat, "text": "x"}}
        if path.startswith("/bot"):
            return {"ok": True, "result": True}
        return {"ok": True, "user_id": "UBOT", "ts": "1.1", "channel": {"id": "D1"}}

    def _hear(self, text: str) -> None:
        self.heard[text] = time.perf_counter()
        self._came.set()
