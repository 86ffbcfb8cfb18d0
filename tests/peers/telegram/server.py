"""A stand-in for Telegram's Bot API server (https://core.telegram.org/bots/api), for one bot, on loopback.

python-telegram-bot connects to it with `Bot(token, base_url=f"{url}/bot", base_file_url=f"{url}/file/bot")`.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from peers.emulate.control import TIMEOUT, Json
from peers.serving import ThreadServer
from peers.telegram import updates
from peers.telegram.chats import ApiError
from peers.telegram.limits import Limits, refusal
from peers.telegram.methods import BotApi, find
from peers.telegram.pending import OTHER_POLL
from peers.telegram.updates import BOT_TOKEN

FILE_KINDS = ("photo", "animation", "video", "voice", "audio", "document")
#: parameters whose value in a form is JSON; the values of the others are text
JSON_PARAMETERS = {
    "allowed_updates",
    "cache_time",
    "chat_id",
    "commands",
    "disable_notification",
    "draft_id",
    "drop_pending_updates",
    "entities",
    "is_big",
    "limit",
    "link_preview_options",
    "max_connections",
    "message_id",
    "media",
    "message_thread_id",
    "offset",
    "protect_content",
    "reaction",
    "reply_markup",
    "reply_parameters",
    "reply_to_message_id",
    "scope",
    "show_alert",
    "timeout",
    "user_id",
}
DESCRIPTIONS = {
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    409: f"Conflict: {OTHER_POLL}",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


PUSH_POLL = 0.02  # seconds between two looks for updates that a webhook should get
REDELIVERY = 0.2  # seconds between two deliveries of an update to a webhook that does not take it


@dataclass(frozen=True)
class Call:
    """A call of a method, with its decoded parameters, the HTTP status of the answer, and its `time.monotonic()`."""

    method: str
    params: Json
    status: int
    at: float


@dataclass
class Failure:
    """A scripted failure of the next `times` calls of a method: see `TelegramServer.fail`."""

    method: str
    error: ApiError | None
    times: int
    after: bool
    delay: float
    body: str | None


class TelegramServer(ThreadServer):
    """The server, which runs inside a `with` block or until `stop()`.

    Attributes:
        api: the state of the chats.
        calls: every call, oldest first.
    """

    token = BOT_TOKEN

    def __init__(self) -> None:
        self.api = BotApi()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reset()
        routes = [
            Route("/bot{token}/{method}", self._call, methods=["GET", "POST"]),
            Route("/file/bot{token}/{path:path}", self._download),
        ]
        super().__init__(Starlette(routes=routes, lifespan=self._lifespan))

    @property
    def base_url(self) -> str:
        """The `base_url` for python-telegram-bot."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        """The `base_file_url` for python-telegram-bot."""
        return f"{self.url}/file/bot"

    def reset(self) -> None:
        """Forget all chats, calls, updates and scripted failures, and the webhook."""
        self._in_loop(self.api.pending.end_poll, OTHER_POLL)
        self.api = BotApi()
        self.calls: list[Call] = []
        self.limits: Limits | None = None
        self._refused: dict[int, int] = {}
        self._failures: list[Failure] = []

    def stop(self) -> None:
        self._in_loop(self.api.pending.end_poll, OTHER_POLL)
        super().stop()

    def limit(self) -> None:
        """Refuse calls above Telegram's limits from now on."""
        self.limits = Limits()

    def refuse(self, chat_id: int, retry_after: int) -> None:
        """Refuse every call in a chat because of a rate limit, until `accept`."""
        self._refused[chat_id] = retry_after

    def accept(self, chat_id: int) -> None:
        del self._refused[chat_id]

    def called(self, method: str) -> list[Json]:
        """Return the parameters of the calls of `method`, oldest first."""
        return [call.params for call in self.calls if call.method == method]

    def messages(self, chat_id: int) -> list[Json]:
        """Return the bot's messages in a chat as they are now, after edits and deletions, oldest first."""
        found = [message for (chat, _), message in sorted(self.api.messages.items()) if chat == chat_id]
        return [message for message in found if message.get("from") == updates.BOT]

    def said(self, chat_id: int) -> list[str]:
        """Return the texts of the bot's messages in a chat, and of files the captions, without previews."""
        whole = [message for message in self.messages(chat_id) if not is_preview(message)]
        return [message.get("text", message.get("caption", "")) for message in whole]

    def sent_files(self, chat_id: int) -> list[tuple[str, str, bytes]]:
        """Return the files that the bot sent in a chat: the kind, the name and the content of each."""
        found = []
        for message in self.messages(chat_id):
            kind = next((each for each in FILE_KINDS if each in message), None)
            if kind is not None:
                about = message[kind][-1] if kind == "photo" else message[kind]
                found.append((kind, about["file_name"], self.api.files[about["file_id"]]))
        return found

    def deliver(self, update: Json) -> httpx.Response:
        """Send an update to the bot's webhook, with its secret token, and return the answer.

        From then on the bot may write in the chat of the update. To repeat a delivery, send the same update again.
        """
        webhook = self.api.webhook
        assert webhook["url"], "no webhook is set"
        assert self.api.pending.allows(update), f"the webhook's allowed_updates leave out {list(update)[1]}"
        self.api.took(update)
        return updates.post(webhook["url"], update, webhook.get("secret_token"))

    def send(self, update: Json) -> None:
        """Send an update to the bot, which gets it by its webhook or, if none is set, by getUpdates.

        The update waits until the bot takes it.
        """
        self.api.took(update)
        self.put(update)

    def put(self, update: Json) -> None:
        """Send an update that is not one of Telegram's, such as a malformed one."""
        self._in_loop(self.api.pending.add, update)

    def block(self, person_id: int) -> None:
        """Block the bot as a person does, until they write to it again. The gateway gets no update about it."""
        self.api.gone[person_id] = "bot was blocked by the user"

    def add_file(self, file_id: str, content: bytes) -> None:
        """Add a file, which the bot gets with getFile and then downloads."""
        self.api.files[file_id] = content

    def fail(
        self,
        method: str,
        code: int | None = None,
        *,
        times: int = 1,
        retry_after: int | None = None,
        description: str | None = None,
        after: bool = False,
        delay: float = 0,
        body: str | None = None,
        parameters: Json | None = None,
    ) -> None:
        """Answer the next `times` calls of a method with an error.

        Args:
            code: the status of the error, if `retry_after` is not given. Without both, the calls are only delayed.
            retry_after: the seconds to wait that a 429 asks for.
            description: the description of the error; by default Telegram's usual one.
            after: carry each call out before the error, as if its answer were lost on the way.
            delay: seconds before each call is carried out or answered.
            body: the whole body of the answer, as from a proxy in front of Telegram's server.
            parameters: the `parameters` of the error.
        """
        error = None
        if retry_after is not None:
            error = ApiError(429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after})
        elif code is not None:
            error = ApiError(code, description or DESCRIPTIONS.get(code, "Bad Request"), parameters)
        self._failures.append(Failure(method, error, times, after, delay, body))

    def heal(self) -> None:
        """Remove all scripted failures."""
        self._failures.clear()

    def _in_loop(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in the event loop of the server, and wait for its end."""

        async def call() -> None:
            function(*args)

        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(call(), self._loop).result(TIMEOUT)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        pushing = asyncio.create_task(self._push())
        yield
        self._loop = None
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)

    async def _push(self) -> None:
        """Deliver the waiting updates to the webhook, in order, and each until it is answered 2xx."""
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            while True:
                api, webhook, update = self.api, self.api.webhook, self.api.pending.first()
                if webhook["url"] and update is not None:
                    headers = updates.secret_header(webhook.get("secret_token"))
                    try:
                        answer = await client.post(webhook["url"], json=update, headers=headers)
                    except httpx.TransportError:
                        answer = None
                    if answer is not None and answer.is_success:
                        api.pending.confirm(update["update_id"] + 1)
                        continue
                    reason = (
                        f"Wrong response from the webhook: {answer.status_code} {answer.reason_phrase}"
                        if answer is not None
                        else None
                    )
                    api.last_error = {
                        "last_error_date": int(time.time()),
                        "last_error_message": reason or "Connection refused",
                    }
                    await asyncio.sleep(REDELIVERY)
                await asyncio.sleep(PUSH_POLL)

    async def _call(self, request: Request) -> Response:
        name = request.path_params["method"]
        if request.path_params["token"] != self.token:
            return _error(ApiError(401, "Unauthorized"))
        params, calls = await _parameters(request), self.calls
        response = await self._answer(name, params)
        calls.append(Call(name, params, response.status_code, time.monotonic()))  # a poll may end after a reset
        return response

    async def _answer(self, name: str, params: Json) -> Response:
        failure = self._take_failure(name)
        if failure and failure.delay:
            await asyncio.sleep(failure.delay)
        try:
            if failure and failure.error and not failure.after:
                raise failure.error
            if (seconds := self._refused.get(params.get("chat_id", 0))) is not None:
                raise refusal(seconds)
            if self.limits is not None:
                self.limits.check(name, params)
            result = find(name)(self.api, params)
            if isawaitable(result):
                result = await result
            if failure and failure.error:
                raise failure.error
        except ApiError as error:
            if failure and failure.body is not None:
                return Response(failure.body, error.code)
            return _error(error)
        return JSONResponse({"ok": True, "result": result})

    def _take_failure(self, method: str) -> Failure | None:
        failure = next((each for each in self._failures if each.method == method), None)
        if failure:
            failure.times -= 1
            if failure.times <= 0:
                self._failures.remove(failure)
        return failure

    async def _download(self, request: Request) -> Response:
        number = request.path_params["path"].removeprefix("files/")
        if request.path_params["token"] != self.token or number not in self.api.files:
            return _error(ApiError(404, "Not Found"))
        return Response(self.api.files[number])


def _error(error: ApiError) -> Response:
    parameters = {"parameters": error.parameters} if error.parameters else {}
    answer = {"ok": False, "error_code": error.code, "description": error.description, **parameters}
    return JSONResponse(answer, error.code)


async def _parameters(request: Request) -> Json:
    """Return the parameters of a call, from the query and from a form or a JSON body.

    https://core.telegram.org/bots/api#making-requests
    """
    params: dict[str, Any] = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        return params | await request.json()
    async with request.form() as form:
        params |= {name: value for name, value in form.items() if isinstance(value, str)}
        uploads = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
        params |= {name: (file.filename, await file.read()) for name, file in uploads.items()}
    return {name: _decoded(name, value) for name, value in params.items()}


def _decoded(name: str, value: Any) -> Any:
    if name not in JSON_PARAMETERS:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def is_preview(message: Json) -> bool:
    """Return whether a message is the preview of a turn, with a button that stops the turn."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return any(button.get("callback_data") == "stop" for row in rows for button in row)
