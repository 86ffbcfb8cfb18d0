"""The webhook of the post office."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.channels import Interface
from gateway.channels.requests import parse_json, read_body
from postbox import parse
from postbox.present import PostboxPresenter
from toolkits import Message

HEADER = "X-Postbox-Signature"


def signature(secret: str, body: bytes) -> str:
    """Return the signature with which the post office sends a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Postbox(Interface):
    """The channel of the post office.

    Args:
        secret: the key of the signatures.
        api_url: the URL of the post office's API.
    """

    channel = parse.CHANNEL
    address = "/postbox"
    presenter: PostboxPresenter

    def __init__(self, secret: str, api_url: str) -> None:
        self.secret = secret
        self.presenter = PostboxPresenter(api_url)

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(self.address, self.receive, methods=["POST"])]

    async def receive(self, request: Request) -> Response:
        """Answer the webhook once its letter is committed."""
        body = await read_body(request)
        self.verify(request, body)
        fields, payload = parse_json(body)
        if parse.is_letter(fields):
            await self.host.accept(parse.to_event(fields, payload))
        return Response(status_code=200)

    def verify(self, request: Request, body: bytes) -> None:
        """Check the signature.

        Raises:
            HTTPException: 401, if the signature is wrong.
        """
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode(), signature(self.secret, body).encode()):
            raise HTTPException(401)

    async def parse(self, payload: str) -> Message | None:
        return parse.to_message(payload)
