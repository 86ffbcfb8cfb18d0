"""Pass events that start no turn to an operator's own `AsyncApp`."""

import asyncio
import logging
import re
from typing import Any

from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.responses import Response

from gateway.channels import RecipientUnreachableError
from interfaces.slack.receiving.request import SlackRequest
from interfaces.slack.workspaces import Workspaces

ACKNOWLEDGED_WITHIN = 2.5  # seconds, of the three in which Slack expects an answer
ANYTHING = re.compile("")
# Bolt does not verify requests in Socket Mode. The channel has verified these.
VERIFIED = "socket_mode"

log = logging.getLogger(__name__)


class HandedOn:
    """A request that is passed to an operator's app. Bolt's context has it as `handed_on`.

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
        client: the listener's client. Its address is set to that of the channel's client.
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
    """The listeners of an operator's app, which answers requests as it does under Bolt's own server."""

    def __init__(self, app: AsyncApp, workspaces: Workspaces) -> None:
        self._app = app
        self._workspaces = workspaces
        self._is_open = False

    def open(self) -> None:
        """Add catch-all listeners after the operator's: Bolt runs the first listener that matches a request."""
        if not self._is_open:
            self._app.event(ANYTHING, middleware=[_unheard])(_nothing)
            self._app.command(ANYTHING, middleware=[_unheard])(_nothing)
            self._is_open = True

    async def take_event(self, request: SlackRequest) -> Response:
        """Pass on an event. It is acknowledged even if it has no listener, or the listener takes too long."""
        answer, _ = await self._dispatch(request)
        return answer or Response(status_code=200)

    async def take_command(self, request: SlackRequest) -> Response | None:
        """Pass on a slash command; return `None` if it has no listener."""
        answer, is_heard = await self._dispatch(request)
        if not is_heard:
            return None
        return answer or Response(status_code=503)

    async def take_interaction(self, request: SlackRequest) -> Response:
        """Pass on a shortcut, a press of a button, a submitted view or another interaction."""
        answer, _ = await self._dispatch(request)
        return answer or Response(status_code=503)

    async def _dispatch(self, request: SlackRequest) -> tuple[Response | None, bool]:
        """Return the app's answer, `None` if it comes too late, and whether the app has a listener for the request."""
        handed_on = HandedOn(self._workspaces)
        wrapped = AsyncBoltRequest(
            body=request.body, headers=dict(request.headers), context={"handed_on": handed_on}, mode=VERIFIED
        )
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                answer = await self._app.async_dispatch(wrapped)
        except TimeoutError:
            log.warning(
                "the app's own listeners did not acknowledge a request in time: %s",
                request.body.get("type", "command"),
            )
            return None, True
        return Response(answer.body, answer.status, answer.first_headers()), handed_on.is_heard


async def _unheard(handed_on: HandedOn) -> BoltResponse:
    handed_on.is_heard = False
    return BoltResponse(status=200)


async def _nothing() -> None:
    """Take the place of a listener: `_unheard` answers first."""
