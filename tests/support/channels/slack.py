"""Helpers for tests of the Slack channel."""

import json
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions

from interfaces.slack import Slack
from support.channels.running import Running

BOT = f"<@{seed.SLACK_BOT_USER_ID}>"


@pytest.fixture
def slack(emulate: Emulate) -> Slack:
    return Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)


async def post(running: Running, payload: dict[str, Any], **signing: Any) -> int:
    """Post an event to the gateway, and return the status. `signing` are arguments of `slack_events.headers`."""
    body = json.dumps(payload).encode()
    headers = events.headers(body, **signing)
    return (await running.client.post("/slack/events", content=body, headers=headers)).status_code


async def said(emulate: Emulate, channel: str, count: int, thread: str | None = None) -> list[str]:
    """Wait until the bot has sent `count` messages in a conversation, and return their texts."""
    await wait_until_async(
        lambda: len(emulate.slack_said(channel, thread)) >= count, what=f"the bot has sent {count} messages"
    )
    return emulate.slack_said(channel, thread)


def dm(emulate: Emulate, text: str, **fields: Any) -> dict[str, Any]:
    """Build the event of a direct message of Alice."""
    return events.direct_message(text, channel=emulate.slack_dm("alice"), **fields)


def answer_address(emulate: Emulate, channel: str, person: seed.Person = seed.ALICE) -> str:
    """Return a new `response_url`."""
    return f"{emulate.slack.url}/actions/{channel}/{person.slack_id}/{events.ts()}"


async def press(running: Running, payload: dict[str, Any], **signing: Any) -> int:
    """Post the payload of a press, and return the status. `signing` are arguments of `slack_events.headers`."""
    body = interactions.body_of(payload)
    headers = interactions.headers(body, **signing)
    return (await running.client.post("/slack/interactivity", content=body, headers=headers)).status_code
