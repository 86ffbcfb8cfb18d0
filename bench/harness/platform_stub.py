"""A stand-in for the APIs of Slack and Telegram. It answers every call at once and records when each text arrived."""

import asyncio
import json
import time
from urllib.parse import parse_qs


class PlatformStub:
    """A server that runs in the current event loop between `start()` and `stop()`.

    Attributes:
        heard: the `time.perf_counter()` at which Telegram's sendMessage received each text, by text.
        limited: the ids of the chats whose messages are refused because of a rate limit, for a second each time.
        refused: how many messages were refused.
    """

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self.limited: set[str] = set()
        self.refused = 0
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
                status, content = self._answer(head.split(b" ", 2)[1].decode(), body)
                answer = json.dumps(content).encode()
                writer.write(
                    b"HTTP/1.1 %d any\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (status, len(answer), answer)
                )
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # the server is stopped
            writer.close()

    def _answer(self, path: str, body: bytes) -> tuple[int, object]:
        """Return the status and the content of an answer."""
        if path.endswith("/getme"):
            return 200, {"ok": True, "result": {"id": 123456, "is_bot": True, "first_name": "B", "username": "b"}}
        if path.endswith("/sendmessage"):
            params = parse_qs(body.decode())
            if params["chat_id"][0] in self.limited:
                self.refused += 1
                return 429, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 1}}
            self._hear(params["text"][0])
            chat = {"id": 1, "type": "private"}
            return 200, {"ok": True, "result": {"message_id": 1, "date": int(time.time()), "chat": chat, "text": "x"}}
        if path.startswith("/bot"):
            return 200, {"ok": True, "result": True}
        return 200, {"ok": True, "user_id": "UBOT", "ts": "1.1", "channel": {"id": "D1"}}

    def _hear(self, text: str) -> None:
        self.heard[text] = time.perf_counter()
        self._came.set()
