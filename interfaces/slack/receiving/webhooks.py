"""Take Slack's requests over webhooks, and verify them.

https://docs.slack.dev/apis/events-api/using-http-request-urls
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.channels.refusals import RefusalLog
from gateway.channels.requests import MOST_BYTES, parse_form, parse_json, read_body, read_form
from interfaces.slack.receiving.request import Handlers, SlackRequest
from interfaces.slack.signature import SignatureCheck


class Webhooks:
    """The webhooks for events, slash commands and interactions. They pass verified requests to the handlers."""

    def __init__(self, signature: SignatureCheck, refusals: RefusalLog, handlers: Handlers) -> None:
        self._signature = signature
        self._refusals = refusals
        self._handlers = handlers

    def routes(self, events: str, commands: str, interactivity: str) -> list[BaseRoute]:
        """Return the routes of the webhooks, given their paths."""
        return [
            Route(events, self._take_event, methods=["POST"]),
            Route(commands, self._take_command, methods=["POST"]),
            Route(interactivity, self._take_interaction, methods=["POST"]),
        ]

    async def _take_event(self, request: Request) -> Response:
        with self._refusals.refusals_logged():
            self._signature.check_headers(request)
            received = await read_body(request)
            self._signature.check(received, request)
            body, raw = parse_json(received)
        if body.get("type") == "url_verification":
            return JSONResponse({"challenge": str(body.get("challenge"))})
        return await self._handlers.event(_verified(request, body, raw))

    async def _take_command(self, request: Request) -> Response:
        with self._refusals.refusals_logged():
            self._signature.check_headers(request)
            raw = await read_form(request)
            self._signature.check(raw.encode(), request)
            form = parse_form(raw)
        if form.get("ssl_check"):
            return Response(status_code=200)
        return await self._handlers.command(_verified(request, dict(form)))

    async def _take_interaction(self, request: Request) -> Response:
        with self._refusals.refusals_logged():
            self._signature.check_headers(request)
            raw = await read_form(request, MOST_BYTES)  # it has the whole message
            self._signature.check(raw.encode(), request)
            body, _ = parse_json(parse_form(raw).get("payload", "").encode())
        return await self._handlers.interaction(_verified(request, body))


def _verified(request: Request, body: dict[str, Any], raw: str = "") -> SlackRequest:
    return SlackRequest(body, raw, {name: request.headers.getlist(name) for name in request.headers})
