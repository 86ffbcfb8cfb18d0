"""Requests that Slack did not sign."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from peers.webhooks import slack_events as events
from support.channels.running import Run

from interfaces.slack import Slack


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        (lambda body: {}, "Slack did not send it"),
        (lambda body: events.headers(body, secret="another"), "SLACK_SIGNING_SECRET"),
        (lambda body: events.headers(body, age=events.STALE), "clock"),
        (lambda body: events.headers(body + b" "), "SLACK_SIGNING_SECRET"),
        (lambda body: events.headers(body) | {"X-Slack-Request-Timestamp": "soon"}, "Slack did not send it"),
        (lambda body: events.headers(body) | {"X-Slack-Signature": "v0=ä".encode()}, "Slack did not send it"),
    ],
    ids=["unsigned", "forged", "stale", "tampered", "no time", "no ASCII"],
)
async def test_a_request_that_slack_did_not_sign_leaves_no_trace(
    run: Run,
    slack: Slack,
    headers: Callable[[bytes], dict[str, Any]],
    hint: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with run(slack) as running:
        for payload in (events.direct_message("hello"), events.url_verification()):
            body = json.dumps(payload).encode()
            answer = await running.client.post("/slack/events", content=body, headers=headers(body))
            assert answer.status_code == 401
            assert "challenge" not in answer.text
        assert running.inbox() == []
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(lines) == 1
    assert hint in lines[0]
    assert slack.refusals.last is not None
    assert slack.refusals.last.status_code == 401
