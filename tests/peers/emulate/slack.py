"""The emulated Slack workspace, as its people see it."""

from collections.abc import Mapping
from typing import Any

import httpx

from peers import seed
from peers.emulate.control import Control, Json
from peers.wait import wait_until
from peers.webhooks import slack_events


class EmulatedSlack:
    """Post as people, and read the messages of the bot.

    Methods take a person by `seed.Person.name`, and a channel by its id or name.
    """

    slack_team_id = seed.SLACK_TEAM_ID
    slack_channel_id = seed.SLACK_CHANNEL_ID
    slack_app_id = seed.SLACK_APP_ID
    slack_bot_id = seed.SLACK_BOT_ID
    slack_bot_user_id = seed.SLACK_BOT_USER_ID
    bot_token = seed.SLACK_BOT_TOKEN
    signing_secret = seed.SLACK_SIGNING_SECRET
    slack_client_id = seed.SLACK_CLIENT_ID
    slack_client_secret = seed.SLACK_CLIENT_SECRET

    slack_url: str  #: the base URL of the Web API, which ends with /api/
    slack: Control
    events_receiver: str | None  #: where Slack sends its events now
    _http: httpx.Client

    def slack_call(self, method: str, token: str = seed.SLACK_BOT_TOKEN, **params: Any) -> Json:
        """Call a method of the Web API, and return the answer.

        Raises:
            AssertionError: the answer is not `ok`.
        """
        given = {name: value for name, value in params.items() if value is not None}
        headers = {"Authorization": f"Bearer {token}"}
        answer = self._http.post(self.slack_url + method, json=given, headers=headers).json()
        assert answer.get("ok"), f"{method}: {answer}"
        return answer

    def slack_post(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Post a message as a person, and return its ts.

        Slack then sends a `message` event, and an `app_mention` event if the text contains `slack_mention`.
        """
        token = seed.PEOPLE[user].slack_token
        return self.slack_call("chat.postMessage", token, channel=channel, text=text, thread_ts=thread_ts)["ts"]

    def slack_edit(self, user: str, channel: str, ts: str, text: str) -> None:
        """Edit a message of a person. Slack then sends a `message_changed` event."""
        self.slack_call("chat.update", seed.PEOPLE[user].slack_token, channel=channel, ts=ts, text=text)

    def slack_delete(self, user: str, channel: str, ts: str) -> None:
        """Delete a message of a person. Slack then sends a `message_deleted` event."""
        self.slack_call("chat.delete", seed.PEOPLE[user].slack_token, channel=channel, ts=ts)

    def slack_dm(self, user: str) -> str:
        """Return the id of a person's direct conversation with the bot."""
        return self.slack_call("conversations.open", users=seed.PEOPLE[user].slack_id)["channel"]["id"]

    @property
    def slack_authorize_url(self) -> str:
        """The page where a person installs the app (https://docs.slack.dev/authentication/installing-with-oauth)."""
        return f"{self.slack.url}/oauth/v2/authorize"

    @property
    def slack_mention(self) -> str:
        """The text that mentions the bot."""
        return f"<@{self.slack_bot_user_id}>"

    def slack_messages(self, channel: str, thread_ts: str | None = None) -> list[Json]:
        """Return the messages of a conversation that the bot is in, replies in threads included, oldest first.

        With `thread_ts`, return only that thread, its parent first.
        """
        if thread_ts:
            return self.slack_call("conversations.replies", channel=channel, ts=thread_ts)["messages"]
        top = self.slack_call("conversations.history", channel=channel, limit=1000)["messages"]
        found = {message["ts"]: message for message in top}
        for parent in top:
            if parent.get("reply_count"):
                found |= {reply["ts"]: reply for reply in self.slack_messages(channel, parent["ts"])}
        return [found[ts] for ts in sorted(found)]

    def slack_said(self, channel: str, thread_ts: str | None = None) -> list[str]:
        """Return the texts of the bot's messages in a conversation, or in one of its threads, without previews."""
        messages = self.slack_messages(channel, thread_ts)
        own = [message for message in messages if message.get("user") == self.slack_bot_user_id]
        return [message["text"] for message in own if not is_preview(message)]

    def slack_distribute(self, *, marketplace: bool) -> None:
        """Distribute the app in the Marketplace, or outside of it, where Slack limits `conversations.replies`.

        See https://docs.slack.dev/apis/web-api/rate-limits. The app of the seed is not distributed, and not limited.
        """
        self.slack.post("distribution", marketplace=marketplace)

    def slack_limit(self) -> None:
        """Refuse calls of the bot above Slack's rate limits from now on: see preload/slack_limits.mjs."""
        self.slack.post("limit", on=True)

    def slack_ephemerals(self, user: str | None = None, channel: str | None = None) -> list[Json]:
        """Return the ephemeral messages, of one person or channel if given, oldest first.

        Each has `target_user`, `channel_id` and `text`, and `blocks` and `thread_ts` if the bot has set them.
        """
        target = seed.PEOPLE[user].slack_id if user else None
        return [
            message
            for message in self.slack.get("ephemeral")
            if target in (None, message["target_user"]) and channel in (None, message["channel_id"])
        ]

    def slack_deliveries(self) -> list[Json]:
        """Return the deliveries of events so far, oldest first.

        Each has `payload`, and `status_code`, which is `None` if there was no answer.
        """
        return self.slack.get("deliveries")

    def slack_wait_for_deliveries(self, count: int = 1) -> list[Json]:
        """Wait until `count` deliveries have ended, and return all deliveries so far."""
        wait_until(lambda: len(self.slack_deliveries()) >= count, what=f"Slack has sent {count} events")
        return self.slack_deliveries()

    def slack_redeliver(self, event_id: str | None = None, retry: int = 1) -> httpx.Response:
        """Repeat the delivery of an event, or of the last one, as Slack does after a failed delivery.

        See https://docs.slack.dev/apis/events-api/#retries.

        Args:
            event_id: which event, if not the last one.
            retry: the number of the retry.
        """
        assert self.events_receiver, "Slack sends its events nowhere"
        payloads = [each["payload"] for each in self.slack_deliveries()]
        payload: Mapping[str, Any] = next(each for each in reversed(payloads) if event_id in (None, each["event_id"]))
        return slack_events.post(self.events_receiver, payload, retry=retry)


def is_preview(message: Json) -> bool:
    """Return whether a message is the preview of a turn."""
    metadata = message.get("metadata") or {}
    return message.get("streaming_state") == "in_progress" or metadata.get("event_type") == "understudy_preview"
