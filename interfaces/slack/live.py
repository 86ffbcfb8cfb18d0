"""What is seen of a turn while it runs."""

from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import LiveView, Step, Steps
from gateway.channels.live import timed
from interfaces.slack.errors import reason_of
from interfaces.slack.format import escape
from interfaces.slack.workspaces import Workspaces
from toolkits import Message

MOST_CARDS = 40  # in a message, of the fifty blocks that Slack takes
LONGEST_TITLE = 200  # characters


class SlackLiveView(LiveView):
    """In a thread the phases of a flow are task cards, and what else takes time the assistant's status.

    Where the app has neither, the phases are a message, edited as they go on.

    https://docs.slack.dev/reference/methods/chat.startStream
    https://docs.slack.dev/reference/methods/assistant.threads.setStatus
    """

    every = 3.0  # https://docs.slack.dev/apis/web-api/rate-limits: about one message a second in a channel

    def __init__(self, workspaces: Workspaces, message: Message) -> None:
        self._workspaces = workspaces
        self._tenant = message.conversation.tenant
        self._channel, _, self._thread = message.conversation.id.partition("/")
        self._sender = message.sender
        self._has_cards = self._has_status = bool(self._thread)
        self._cards: list[dict[str, Any]] = []  # as they were shown
        self._status = ""
        self._posted: tuple[str, str] | None = None  # the channel and the time of the message
        self._shown = ""

    async def update(self, steps: Steps) -> None:
        client = await self._workspaces.client(self._tenant)
        if steps.has_phases and self._has_cards and await self._show_cards(client, steps):
            return
        running = [step.label for step in steps.latest if not step.is_over]
        status = f"is at {running[-1]}…" if running else "is thinking…"
        if self._has_status and await self._set_status(client, status):
            return
        text = escape(steps.text())
        if not steps.has_phases or text == self._shown:
            return
        if self._posted is None:
            sent = await client.chat_postMessage(channel=self._channel, thread_ts=self._thread or None, text=text)
            self._posted = (str(sent["channel"]), str(sent["ts"]))
        else:
            await client.chat_update(channel=self._posted[0], ts=self._posted[1], text=text)
        self._shown = text

    async def close(self) -> None:
        if self._posted is None and not self._status:
            return
        client = await self._workspaces.client(self._tenant)
        if self._posted is not None:
            channel, ts = self._posted
            if self._cards:
                await self._stop_stream(client, channel, ts)
            await client.chat_delete(channel=channel, ts=ts)
        if self._status:  # an answer there takes it away, but the answer may go to its person alone
            await self._set_status(client, "")

    async def _show_cards(self, client: AsyncWebClient, steps: Steps) -> bool:
        """Whether the app has task cards."""
        cards = [_card(number, step) for number, step in enumerate(steps.all[:MOST_CARDS])]
        changed = [card for card in cards if card not in self._cards]
        if self._posted is not None:
            if changed:
                await client.chat_appendStream(channel=self._posted[0], ts=self._posted[1], chunks=changed)
            self._cards = cards
            return True
        try:
            started = await client.chat_startStream(
                channel=self._channel,
                thread_ts=self._thread,
                recipient_team_id=self._sender.tenant,
                recipient_user_id=self._sender.user_id,
                task_display_mode="timeline",
                chunks=changed,
            )
        except SlackApiError:
            self._has_cards = False
            return False
        self._posted, self._cards = (str(started["channel"]), str(started["ts"])), cards
        return True

    async def _stop_stream(self, client: AsyncWebClient, channel: str, ts: str) -> None:
        try:
            await client.chat_stopStream(channel=channel, ts=ts)
        except SlackApiError as error:
            if reason_of(error) != "message_not_in_streaming_state":  # which Slack ends by itself
                raise

    async def _set_status(self, client: AsyncWebClient, status: str) -> bool:
        """Whether the app is an assistant there."""
        try:
            await client.assistant_threads_setStatus(channel_id=self._channel, thread_ts=self._thread, status=status)
            self._status = status
        except SlackApiError:
            self._has_status = False
        return self._has_status


def _card(number: int, step: Step) -> dict[str, Any]:
    """https://docs.slack.dev/messaging/sending-and-scheduling-messages#text-streaming"""
    return {
        "type": "task_update",
        "id": str(number),
        "title": timed(step.label[:LONGEST_TITLE], step.elapsed_ms),
        "status": "complete" if step.is_over else "in_progress",
    }
