"""Handle the interactions of people, such as presses of buttons."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from slack_sdk.webhook.async_client import AsyncWebhookClient
from starlette.background import BackgroundTasks
from starlette.responses import Response

from gateway.channels import DeliveryError
from gateway.channels.http_errors import delivery_errors
from gateway.logs import describe
from interfaces.slack.format import escape
from interfaces.slack.interactivity.press import BLOCK_ACTIONS, ButtonPress, kinds_in, presses_in
from interfaces.slack.receiving.request import Handler, SlackRequest

TAKEN_WITHIN = 2.5  # seconds, of the three in which Slack expects an answer
CALL_TIMEOUT = 15  # seconds to send the sentence to the person

PressHandler = Callable[[ButtonPress], Awaitable[str | None]]
"""Commits a press; returns a sentence that only the person who pressed sees, or `None`.

It has less than three seconds, because the request is acknowledged after it. The sentence is sent after that.
"""

log = logging.getLogger(__name__)


class Interactivity:
    """Passes each press of a button to the handler of its button.

    https://docs.slack.dev/interactivity/handling-user-interaction

    Args:
        channel: the channel of the gateway.
        api_url: the address of the Web API. Sentences are sent only to addresses at the same domain.
        handlers: the handlers, by the first word of their buttons' `action_id`.
        fallback: answers all other interactions. By default they are acknowledged and ignored.
        within: seconds in which the handlers have to be done.
    """

    def __init__(
        self,
        channel: str,
        api_url: str,
        handlers: Mapping[str, PressHandler],
        fallback: Handler | None = None,
        within: float = TAKEN_WITHIN,
    ) -> None:
        self._channel = channel
        self._api = urlsplit(api_url)
        self._handlers = handlers
        self._fallback = fallback or _acknowledge
        self._within = within

    async def take(self, request: SlackRequest) -> Response:
        """Handle presses of the gateway's own buttons, and pass every other interaction to the fallback."""
        body, answers = request.body, BackgroundTasks()
        if body.get("type") != BLOCK_ACTIONS or kinds_in(body).isdisjoint(self._handlers):
            return await self._fallback(request)
        try:
            async with asyncio.timeout(self._within):
                for press in presses_in(self._channel, body):
                    if (handler := self._handlers.get(press.kind)) and (sentence := await handler(press)):
                        answers.add_task(self._answer, press, sentence)
        except TimeoutError:
            log.warning("a press of a button was not handled in time: Slack shows the person an error")
            return Response(status_code=503)
        return Response(status_code=200, background=answers)

    async def _answer(self, press: ButtonPress, sentence: str) -> None:
        """Send a sentence that only the person who pressed sees."""
        if not self._is_slacks(press.answer_address):
            log.warning("a person who pressed a button gets no answer: the request has no response_url of Slack's")
            return
        client = AsyncWebhookClient(press.answer_address, timeout=CALL_TIMEOUT, retry_handlers=[])
        message = {"response_type": "ephemeral", "replace_original": False, "text": escape(sentence)}
        try:
            with delivery_errors("Slack", lambda error: None):
                answer = await client.send_dict(message | ({"thread_ts": press.thread} if press.thread else {}))
        except (DeliveryError, ConnectionError) as error:
            log.warning("a person who pressed a button got no answer: %s", describe(error))
            return
        if answer.status_code != 200:
            log.warning("a person who pressed a button got no answer: Slack answered %s", answer.status_code)

    def _is_slacks(self, address: str) -> bool:
        """Return whether an address is at the domain of the Web API, like hooks.slack.com."""
        try:
            found = urlsplit(address)
        except ValueError:
            return False
        domain = self._api.netloc
        return found.scheme == self._api.scheme and found.netloc in (domain, f"hooks.{domain}")


async def _acknowledge(request: SlackRequest) -> Response:
    return Response(status_code=200)
