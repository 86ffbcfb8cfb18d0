"""Hand what starts no turn to an operator's own `AsyncApp`."""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import Response

from gateway.channels import RecipientUnreachableError
from interfaces.slack.workspaces import Workspaces

ACKNOWLEDGED_WITHIN = 2.5  # of the three seconds in which Slack wants an answer
ANYTHING = re.compile("")
# As Bolt in Socket Mode, whose requests it does not verify: the channel has verified this one.
VERIFIED = "socket_mode"

log = logging.getLogger(__name__)


class HandedOn:
    """A request on its way through an operator's app. It is in Bolt's context under `handed_on`.

    Attributes:
        is_heard: whether the app has a listener for it.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self.workspaces = workspaces
        self.is_heard = True

    def __deepcopy__(self, memo: dict[int, Any]) -> "HandedOn":
        return self  # Bolt copies its context for lazy listeners


async def authorize(
    handed_on: HandedOn, client: AsyncWebClient, enterprise_id: str | None, team_id: str | None, user_id: str | None
) -> AuthorizeResult | None:
    """Return the bot token of the workspace that a request comes from: `AsyncApp(authorize=authorize)`.

    https://docs.slack.dev/tools/bolt-python/concepts/authorization

    Args:
        client: the listener's, which calls the same address as the channel.
    """
    for tenant in filter(None, (team_id, enterprise_id)):
        try:
            own = await handed_on.workspaces.client(tenant)
        except RecipientUnreachableError:
            continue  # the organization may have installed the app as a whole
        client.base_url = own.base_url
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            user_id=user_id,
            bot_token=own.token,
            bot_user_id=await handed_on.workspaces.bot_user({"team_id": tenant}),
        )
    return None


class BoltListeners:
    """The listeners of an operator's app, which answers as it does under Bolt's own server."""

    def __init__(self, app: AsyncApp, workspaces: Workspaces) -> None:
        self._app = app
        self._workspaces = workspaces
        self._is_open = False

    def open(self) -> None:
        """Note that all listeners are registered. The first one that fits a request takes it, so ours are the last."""
        if not self._is_open:
            self._app.event(ANYTHING, middleware=[_unheard])(_nothing)
            self._app.command(ANYTHING, middleware=[_unheard])(_nothing)
            self._is_open = True

    async def take_event(self, request: Request, body: Mapping[str, Any]) -> Response:
        """Hand on an event. One that nobody listens to, or that takes too long, is acknowledged like any other."""
        answer, _ = await self._dispatch(request, body)
        return answer or Response(status_code=200)

    async def take_command(self, request: Request, form: Mapping[str, Any]) -> Response | None:
        """Hand on a slash command; return `None` if nobody listens to it."""
        answer, is_heard = await self._dispatch(request, form)
        if not is_heard:
            return None
        return answer or Response(status_code=503)

    async def take_interaction(self, request: Request, payload: Mapping[str, Any]) -> Response:
        """Hand on a shortcut, a press, a view that was submitted and whatever else people do."""
        answer, _ = await self._dispatch(request, payload)
        return answer or Response(status_code=503)

    async def _dispatch(self, request: Request, body: Mapping[str, Any]) -> tuple[Response | None, bool]:
        """Return what the app answers, `None` if it does not in time, and whether it has a listener for it."""
        handed_on = HandedOn(self._workspaces)
        headers: dict[str, Any] = {name: request.headers.getlist(name) for name in request.headers}
        wrapped = AsyncBoltRequest(
            body=dict(body), query=request.url.query, headers=headers, context={"handed_on": handed_on}, mode=VERIFIED
        )
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                answer = await self._app.async_dispatch(wrapped)
        except TimeoutError:
            log.warning(
                "the app's own listeners did not acknowledge a request in time: %s", body.get("type", "command")
            )
            return None, True
        return Response(answer.body, answer.status, answer.first_headers()), handed_on.is_heard


async def _unheard(handed_on: HandedOn) -> BoltResponse:
    handed_on.is_heard = False
    return BoltResponse(status=200)


async def _nothing() -> None:
    """Take the place of a listener: `_unheard` answers first."""
