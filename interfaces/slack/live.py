"""What a thread in Slack shows of a turn while it runs."""

from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import MessageView, Step, Steps
from gateway.channels.live import timed
from interfaces.slack.errors import reason_of
from interfaces.slack.format import escape
from interfaces.slack.workspaces import Workspaces
from toolkits import Message

MOST_CARDS = 40  # in a message, of the fifty blocks that Slack takes
LONGEST_TITLE = 200  # characters


class SlackLiveView(MessageView[tuple[str, str]]):
    """Shows a turn in a thread: phases of a flow as task cards, anything else that takes time as the app's status.

    Where Slack refuses both to the app, and outside threads, the phases are an ordinary message.

    https://docs.slack.dev/reference/methods/chat.startStream
    https://docs.slack.dev/reference/methods/assistant.threads.setStatus
    """

    interval = 3.0  # https://docs.slack.dev/apis/web-api/rate-limits: about one message a second in a channel

    def __init__(self, workspaces: Workspaces, message: Message) -> None:
        super().__init__()
        self._workspaces = workspaces
        self._tenant = message.conversation.tenant
        self._channel, _, self._thread = message.conversation.id.partition("/")
        self._sender = message.sender
        self._takes_cards = self._takes_status = bool(self._thread)
        self._cards: list[dict[str, Any]] = []  # as Slack shows them
        self._status = ""

    async def update(self, steps: Steps) -> None:
        if steps.has_phases and self._takes_cards and await self._show_cards(steps):
            return
        running = [step.label for step in steps.latest if not step.is_over]
        status = f"is at {running[-1]}…" if running else "is thinking…"
        if self._takes_status and await self._set_status(status):
            return
        await super().update(steps)

    async def close(self) -> None:
        await super().close()
        if self._status:  # an answer in the thread clears it, but the answer may go to its person alone
            await self._set_status("")

    def escape(self, text: str) -> str:
        return escape(text)

    async def post(self, text: str) -> tuple[str, str]:
        """Post the message; return its channel and its `ts`."""
        client = await self._client()
        sent = await client.chat_postMessage(channel=self._channel, thread_ts=self._thread or None, text=text)
        return str(sent["channel"]), str(sent["ts"])

    async def edit(self, posted: tuple[str, str], text: str) -> None:
        channel, ts = posted
        await (await self._client()).chat_update(channel=channel, ts=ts, text=text)

    async def delete(self, posted: tuple[str, str]) -> None:
        client, (channel, ts) = await self._client(), posted
        if self._cards:
            await _stop_stream(client, channel, ts)
        await client.chat_delete(channel=channel, ts=ts)

    async def _client(self) -> AsyncWebClient:
        return await self._workspaces.client(self._tenant)

    async def _show_cards(self, steps: Steps) -> bool:
        """Show the steps as task cards of a stream; return whether Slack lets the app stream."""
        client = await self._client()
        cards = [_card(number, step) for number, step in enumerate(steps.all[:MOST_CARDS])]
        changed = [card for card in cards if card not in self._cards]
        if self.posted is not None:
            channel, ts = self.posted
            if changed:
                await client.chat_appendStream(channel=channel, ts=ts, chunks=changed)
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
            self._takes_cards = False
            return False
        self.posted, self._cards = (str(started["channel"]), str(started["ts"])), cards
        return True

    async def _set_status(self, status: str) -> bool:
        """Set the app's status in the thread; return whether Slack takes one."""
        client = await self._client()
        try:
            await client.assistant_threads_setStatus(channel_id=self._channel, thread_ts=self._thread, status=status)
            self._status = status
        except SlackApiError:
            self._takes_status = False
        return self._takes_status


async def _stop_stream(client: AsyncWebClient, channel: str, ts: str) -> None:
    try:
        await client.chat_stopStream(channel=channel, ts=ts)
    except SlackApiError as error:
        if reason_of(error) != "message_not_in_streaming_state":  # Slack may end a stream by itself
            raise


def _card(number: int, step: Step) -> dict[str, Any]:
    """https://docs.slack.dev/messaging/sending-and-scheduling-messages#text-streaming"""
    return {
        "type": "task_update",
        "id": str(number),
        "title": timed(step.label[:LONGEST_TITLE], step.elapsed_ms),
        "status": "complete" if step.is_over else "in_progress",
    }
