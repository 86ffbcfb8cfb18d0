"""The target of the fuzz tests: a gateway with every channel, and platforms that accept every call."""

import asyncio
import logging
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from peers import seed
from peers.serving import ThreadServer
from peers.telegram import updates as telegram
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from support.stage import IMPATIENT, Vault

from gateway import Agent, Gateway
from interfaces.chatkit import ChatKit, Person
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.web import Web
from interfaces.whatsapp import WhatsApp
from oauth import Keyring

URL = "http://127.0.0.1:8000"
SETTLE_TIMEOUT = 20.0  # seconds
UNFINISHED = "SELECT status, error FROM inbox WHERE status NOT IN ('done', 'expired')"
UNSENT = "SELECT status, error FROM outbox WHERE status NOT IN ('sent', 'scheduled')"

T = TypeVar("T")


async def _accept(request: Request) -> JSONResponse:
    await request.body()
    path = request.url.path.lower()
    if path.endswith("/getme"):
        return JSONResponse({"ok": True, "result": telegram.BOT})
    if "/bot" in path:
        chat = {"id": 1, "type": "private", "first_name": "A"}
        sent = {"message_id": 1, "date": 1_700_000_000, "chat": chat, "text": "x"}
        return JSONResponse({"ok": True, "result": sent if path.endswith("/sendmessage") else True})
    if "/2010-04-01/" in path:
        return JSONResponse({"sid": "SM1", "status": "queued"}, status_code=201)
    slack: dict[str, Any] = {"ok": True, "user_id": seed.SLACK_BOT_USER_ID, "bot_id": "B1", "channel": {"id": "D1"}}
    slack |= {"ts": "1700000000.000100", "messages": [], "has_more": False}
    if path.endswith("/oauth.v2.access"):
        slack |= {"access_token": "xoxb-1", "bot_user_id": seed.SLACK_BOT_USER_ID, "app_id": seed.SLACK_APP_ID}
        slack |= {"team": {"id": seed.SLACK_TEAM_ID}, "authed_user": {"id": "U1"}, "scope": "chat:write"}
    return JSONResponse(slack)


class _Watch(logging.Handler):
    """A log handler that keeps the records of errors and exceptions."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.wrong.append(logging.Formatter().format(record)[-4000:])


async def _by_header(request: Request) -> Person | None:
    return Person("alice") if request.headers.get("authorization") else None


class Target:
    """Send requests to a gateway, and raise an error if one of them causes an error there.

    Args:
        directory: where the database is.
        platforms: the URL of the stand-ins for all platforms.
        many: whether the Slack app can be installed into many workspaces, or belongs to one.
    """

    def __init__(self, directory: Path, platforms: str, *, many: bool) -> None:
        self.answer = "heard"
        self.database = directory / "fuzz.db"
        vault = Vault()
        app = {"client_id": "1.2", "client_secret": "s"} if many else {"bot_token": seed.SLACK_BOT_TOKEN}
        slack = Slack(signing_secret=seed.SLACK_SIGNING_SECRET, api_url=f"{platforms}/api", **app)
        self.gateway = Gateway(
            Agent(model=FunctionModel(self._play), toolkits=[vault]),
            [
                slack,
                Telegram(f"{telegram.BOT_ID}:peers", telegram.SECRET_TOKEN, platforms),
                WhatsApp(seed.TWILIO_ACCOUNT_SID, seed.TWILIO_AUTH_TOKEN, seed.WHATSAPP_NUMBER, platforms),
                Web(),
                ChatKit(_by_header),
            ],
            f"sqlite:///{self.database}",
            base_url=URL,
            secret_key=Keyring.generate(),
            timings=IMPATIENT,
        )
        self._runner = asyncio.Runner()
        self._watch = _Watch()
        self._stack = AsyncExitStack()

    def _play(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(self.answer or "heard")])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @contextmanager
    def opened(self) -> Iterator["Target"]:
        logging.getLogger().addHandler(self._watch)
        try:
            self.run(self._open())
            yield self
        finally:
            self.run(self._stack.aclose())
            self._runner.close()
            logging.getLogger().removeHandler(self._watch)

    async def _open(self) -> None:
        await self._stack.enter_async_context(self.gateway.lifespan())
        transport = httpx.ASGITransport(self.gateway.asgi())  # raises the exceptions of the application
        self.client = await self._stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=URL))

    def request(self, method: str, address: str, **options: Any) -> httpx.Response:
        """Send a request, and wait until the turns and sends that it causes are done.

        Raises:
            AssertionError: the answer or the log has an error, or something is not done in time.
        """
        answer = self.run(self._request(method, address, **options))
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        self.settle()
        return answer

    async def _request(self, method: str, address: str, **options: Any) -> httpx.Response:
        async with asyncio.timeout(SETTLE_TIMEOUT):
            return await self.client.request(method, address, **options)

    def settle(self) -> None:
        """Wait until all turns and sends are done.

        Raises:
            AssertionError: the log has an error, or something is not done in time.
        """
        left = self.run(self._settle())
        wrong, self._watch.wrong = self._watch.wrong, []
        assert not wrong, "\n\n".join(wrong)
        assert not left, left

    async def _settle(self) -> list[tuple[Any, ...]]:
        until = asyncio.get_running_loop().time() + SETTLE_TIMEOUT
        while (left := self._left()) and not self._watch.wrong and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.005)
        return left

    def _left(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as database:
            return [*database.execute(UNFINISHED), *database.execute(UNSENT)]


@contextmanager
def platforms() -> Iterator[str]:
    """Run the stand-in for all platforms, and yield its URL."""
    app = Starlette(routes=[Route("/{path:path}", _accept, methods=["GET", "POST"])])
    with ThreadServer(app) as server:
        yield server.url
