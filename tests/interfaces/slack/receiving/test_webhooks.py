"""Slack's webhooks answer what comes before any event, and refuse what Slack does not send."""

import json

from peers.webhooks import slack_events as events
from support.channels.running import Run

from interfaces.slack import Slack


async def test_the_request_url_is_verified(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        body = json.dumps(events.url_verification("challenge")).encode()
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.json() == {"challenge": "challenge"}


async def test_a_body_larger_than_any_platform_sends_is_refused(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        body = b"x" * 2_000_000
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.status_code == 413
