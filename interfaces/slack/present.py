"""Answers as messages: https://docs.slack.dev/reference/methods/chat.postMessage"""

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from gateway.interface import DeliveryRefused, Presenter, SignIn
from interfaces.slack.format import MrkdwnRenderer, escape, link
from oauth import Identity
from toolkits import Conversation

# Errors that pass; every other one that Slack names stays what it is.
PASSING = frozenset(
    {"fatal_error", "internal_error", "ratelimited", "rate_limited", "request_timeout", "service_unavailable"}
)

ANSWERED = "I answered you in a direct message."
UNREACHED = "The answer is for you alone, and I cannot reach you. Write to me in a direct message, and I send it there."


class SlackPresenter(Presenter):
    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._renderer = MrkdwnRenderer()

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str) -> None:
        channel, _, thread = conversation.id.partition("/")
        await self._post(channel, thread, text)

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool
    ) -> None:
        # Not chat.postEphemeral, whose messages are neither kept nor sure to arrive:
        # https://docs.slack.dev/reference/methods/chat.postEphemeral
        channel, _, _ = conversation.id.partition("/")
        heading = f"You asked in <#{channel}>:\n" if first else ""
        await self._post(await self._direct_channel(identity.user_id), "", heading + text)

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        channel, _, thread = conversation.id.partition("/")
        await self._post(channel, thread, f"<@{identity.user_id}> {ANSWERED if reached else UNREACHED}")

    async def send_sign_in(self, sign_in: SignIn) -> None:
        channel, _, thread = sign_in.conversation.id.partition("/")
        where = ""
        if sign_in.conversation.shared:
            where = f" what you wrote in <#{channel}>"
            channel, thread = await self._direct_channel(sign_in.identity.user_id), ""
        text = (
            f"To answer{where or ' that'}, I need you to connect your {escape(sign_in.label)} account: "
            f"{link(f'Connect {escape(sign_in.label)}', await sign_in.link())}. "
            "The link is for you alone and works for ten minutes. I answer as soon as you have signed in."
        )
        await self._post(channel, thread, text)

    async def _direct_channel(self, user_id: str) -> str:
        try:
            opened = await self._client.conversations_open(users=user_id)
        except SlackApiError as error:
            raise _refusal(error) from error
        return str(opened["channel"]["id"])

    async def _post(self, channel: str, thread: str, text: str) -> None:
        try:
            await self._client.chat_postMessage(
                channel=channel, thread_ts=thread or None, text=text, unfurl_links=False, unfurl_media=False
            )
        except SlackApiError as error:
            raise _refusal(error) from error


def _refusal(error: SlackApiError) -> Exception:
    reason = error.response.get("error") if isinstance(error.response.data, dict) else None
    return error if reason is None or reason in PASSING else DeliveryRefused(str(reason))
