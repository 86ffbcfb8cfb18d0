"""The endpoint that ChatKit calls, and the lifecycle of the channel."""

from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from pkgutil import resolve_name
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.channels import AccessPolicy, Host, Interface
from gateway.channels.requests import parse_json, read_body
from gateway.channels.uploads import receive
from interfaces.chatkit import parse
from interfaces.chatkit.parse import UPLOADS, Person
from interfaces.chatkit.present import ChatKitPresenter
from oauth import SettingError
from oauth.extras import extra_needed
from toolkits import Message

if TYPE_CHECKING:
    from interfaces.chatkit.server import GatewayChatKitServer

Authenticate = Callable[[Request], Awaitable[Person | None]]
"""Returns the person whose request it is, from the host application's session; `None` if nobody is signed in."""

# https://openai.github.io/chatkit-python/api/chatkit/types/
SUPPORTED = frozenset(
    {
        "attachments.create",
        "attachments.delete",
        "items.feedback",
        "items.list",
        "threads.add_user_message",
        "threads.create",
        "threads.custom_action",
        "threads.delete",
        "threads.get_by_id",
        "threads.list",
        "threads.retry_after_item",
        "threads.update",
    }
)


class ChatKit(Interface):
    """A server for OpenAI's ChatKit in a web application with its own sign-in: https://openai.github.io/chatkit-js/

    In the page, set `api.url` to `/chatkit` at the gateway's address. Each person sees only their own threads.

    Args:
        authenticate: an async function that returns the person whose request it is, or the import path of one, written
            `package.module:function`. The request has the cookies and headers that the page's `fetch` sends.
        page: the address of the page with the chat, to which people return after a sign-in. The page has to send the
            code in the fragment of that address: see docs/chatkit.md.
        access: whom the agent answers of those who are signed in: everybody, unless it is given.

    Raises:
        SettingError: if `authenticate` is not an async function, `page` is not an address without a fragment, `access`
            is no policy, or the extra `openai-chatkit` is not installed.
    """

    channel = parse.CHANNEL
    address = "/chatkit"
    presenter: ChatKitPresenter

    def __init__(
        self,
        authenticate: Authenticate | str,
        page: str | None = None,
        *,
        access: AccessPolicy | str = AccessPolicy.OPEN,
    ) -> None:
        self._authenticate = _resolved(authenticate) if isinstance(authenticate, str) else authenticate
        if not iscoroutinefunction(self._authenticate) and not iscoroutinefunction(type(self._authenticate).__call__):
            raise SettingError(
                f"ChatKit(authenticate={authenticate!r}) is not an async function. "
                "Pass one that returns the person whose request it is."
            )
        # Imported here, because the library is optional and slow to import.
        with extra_needed("openai-chatkit", "ChatKit"):
            import chatkit.server  # noqa: F401
        if page is not None and ("#" in page or urlsplit(page).scheme not in ("http", "https")):
            raise SettingError(
                f"ChatKit(page={page!r}) is not the address of a page. Use one like "
                "https://app.example.com/chat, without a #."
            )
        if access not in list(AccessPolicy):
            raise SettingError(f"ChatKit(access={access!r}) is no policy. It is open, allowlist or pairing.")
        self.access = AccessPolicy(access)
        self._server: GatewayChatKitServer | None = None
        self.presenter = ChatKitPresenter(page)

    def routes(self) -> Sequence[BaseRoute]:
        # ChatKit uploads from its own site, without the person's session. The signed address authorizes the upload.
        cors = [Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["PUT"], allow_headers=["*"])]
        return [
            Route(self.address, self._receive, methods=["POST"]),
            Route(f"{self.address}{UPLOADS}/{{token}}", self._upload, methods=["PUT", "OPTIONS"], middleware=cors),
        ]

    async def start(self, host: Host) -> None:
        from interfaces.chatkit.server import GatewayChatKitServer

        await super().start(host)
        self.presenter.host = host
        self._server = GatewayChatKitServer(host, self.address, self.refusals)

    async def stop(self) -> None:
        await super().stop()
        self.presenter.host = self._server = None

    async def parse(self, payload: str) -> Message | None:
        return parse.to_message(payload, lambda: self.host)

    async def _receive(self, request: Request) -> Response:
        # Against cross-site request forgery: a page of another site cannot send JSON with its visitor's cookies.
        # https://fetch.spec.whatwg.org/#cors-safelisted-request-header
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415)
        person = await self._authenticate(request)
        if person is None:
            raise HTTPException(401)
        if self._server is None:
            raise HTTPException(503)
        fields, body = parse_json(await read_body(request))
        kind = fields.get("type")
        if not isinstance(kind, str):
            raise HTTPException(400, "This request has no type.")
        if kind not in SUPPORTED:
            raise HTTPException(400, f"The request {kind[:40]} is not supported here.")
        parse.check_params(fields.get("params"))
        if kind == "attachments.create" and not await self.host.admits(person.identity):
            raise HTTPException(403)
        base_url = self.host.base_url or str(request.base_url).rstrip("/")
        return await self._server.answer(body.encode(), person, base_url)

    async def _upload(self, request: Request) -> Response:
        file = await self.host.stored_files.load_reserved(request.path_params["token"])
        if file is None:
            raise HTTPException(404)
        await receive(request, file, self.host.most_upload_bytes)
        return Response(status_code=204)


def _resolved(name: str) -> Authenticate:
    """Import a function by its path, `package.module:function`.

    Raises:
        SettingError: if it cannot be imported.
    """
    try:
        return resolve_name(name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(f"ChatKit(authenticate={name!r}) cannot be imported: {error}.") from None
