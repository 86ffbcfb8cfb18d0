"""Answers that Slack refuses, delays or does not confirm."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said

from interfaces.slack import Slack


async def test_a_rate_limit_is_waited_for_and_the_answer_is_sent_once(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        limited = {"ok": False, "error": "ratelimited"}
        emulate.slack.fail("/api/chat.postMessage", 429, headers={"Retry-After": "3"}, body=limited)
        began = time.monotonic()
        await post(running, dm(emulate, "hello"))
        assert await said(emulate, channel, 1) == ["heard"]
        assert time.monotonic() - began >= 3  # seconds; the gateway's own retry would come within two
        assert [call.status for call in emulate.slack.calls("chat.postMessage")] == [429, 200]
        assert running.prompts == ["hello"]


@pytest.mark.parametrize("asked", ["99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_impossible_rate_limit_is_bounded(run: Run, slack: Slack, emulate: Emulate, asked: str) -> None:
    async with run(slack) as running:
        limited = {"ok": False, "error": "ratelimited"}
        emulate.slack.fail("/api/chat.postMessage", 429, headers={"Retry-After": asked}, body=limited)
        await post(running, dm(emulate, "hello"))
        await wait_until_async(running.pauses, what="a pause")
        until = datetime.fromisoformat(running.pauses()[0][0]).replace(tzinfo=UTC)
        assert timedelta(minutes=50) < until - datetime.now(UTC) <= timedelta(hours=1)


@pytest.mark.parametrize("place", ["dm", "thread"])
async def test_an_answer_that_slack_accepted_without_acknowledging_it_is_found_and_not_sent_again(
    run: Run, slack: Slack, emulate: Emulate, place: str
) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        thread = emulate.slack_post("alice", channel, "root") if place == "thread" else None
        emulate.slack.fail("/api/chat.postMessage", 500, after=True)
        await post(running, dm(emulate, "one", thread_ts=thread) if thread else dm(emulate, "one"))
        await wait_until_async(lambda: _looked_up(emulate), what="Slack is asked")
        await post(running, dm(emulate, "two", thread_ts=thread) if thread else dm(emulate, "two"))
        assert await said(emulate, channel, 2, thread) == ["heard", "heard"]
        assert len([call for call in emulate.slack.calls("chat.postMessage") if "xoxb-" in call.authorization]) == 2


@pytest.mark.parametrize("place", ["dm", "thread"])
async def test_the_look_up_keeps_slacks_limits_for_apps_outside_the_marketplace(
    run: Run, slack: Slack, emulate: Emulate, place: str
) -> None:
    """Apply a short rate limit to the look-up. Apps outside the Marketplace may read 15 messages once a minute."""
    method = "conversations.replies" if place == "thread" else "conversations.history"
    limited = {"ok": False, "error": "ratelimited"}
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        thread = emulate.slack_post("alice", channel, "root") if place == "thread" else None
        emulate.slack.fail("/api/chat.postMessage", 500, after=True)
        emulate.slack.fail(f"/api/{method}", 429, headers={"Retry-After": "5"}, body=limited)
        await post(running, dm(emulate, "one", thread_ts=thread) if thread else dm(emulate, "one"))
        await wait_until_async(lambda: len(emulate.slack.calls(method)) == 1, what="Slack is asked")
        began = time.monotonic()
        await wait_until_async(lambda: len(emulate.slack.calls(method)) == 2, what="Slack is asked again")
        assert time.monotonic() - began >= 4  # seconds; the gateway's own retry would come within two
        assert [call.status for call in emulate.slack.calls(method)] == [429, 200]
        assert {str(call.params["limit"]) for call in emulate.slack.calls(method)} == {"15"}
        await post(running, dm(emulate, "two", thread_ts=thread) if thread else dm(emulate, "two"))
        assert await said(emulate, channel, 2, thread) == ["heard", "heard"]


async def test_an_ambiguous_answer_that_is_not_found_is_sent_again(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        emulate.slack.fail("/api/chat.postMessage", 500)
        await post(running, dm(emulate, "one"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]


UNREADABLE = {
    "HTML": ("text/html", "<html><body>Welcome to our network</body></html>"),
    "text": ("text/plain", "ok"),
    "empty": ("text/html", ""),
    "empty text": ("text/plain", ""),
    "no JSON": ("application/json", "<html>"),
    "cut off": ("application/json", '{"ok": tr'),
    "list": ("application/json", "[1]"),
    "null": ("application/json", "null"),
    "number": ("application/json", "1"),
    "object": ("application/json", '{"accepted": true}'),
    "gzip": ("application/gzip", "x"),
}


@pytest.mark.parametrize(("content_type", "body"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("after", [True, False], ids=["taken", "not taken"])
async def test_an_answer_that_cannot_be_read_is_looked_up(
    run: Run, slack: Slack, emulate: Emulate, content_type: str, body: str, after: bool
) -> None:
    """Answer as a proxy does. Only Slack can tell whether it has accepted the message."""
    async with run(slack) as running:
        headers = {"Content-Type": content_type}
        emulate.slack.fail("/api/chat.postMessage", 200, headers=headers, body=body, after=after)
        await post(running, dm(emulate, "one"))
        await wait_until_async(lambda: _looked_up(emulate), what="Slack is asked")
        await post(running, dm(emulate, "two"))
        assert await said(emulate, emulate.slack_dm("alice"), 2) == ["heard", "heard"]
        assert len(emulate.slack.calls("chat.postMessage")) == (2 if after else 3)


@pytest.mark.parametrize("status", [403, 407])
async def test_an_answer_that_a_proxy_refuses_is_sent_again_without_a_look_up(
    run: Run, slack: Slack, emulate: Emulate, status: int
) -> None:
    async with run(slack) as running:
        emulate.slack.fail("/api/chat.postMessage", status, headers={"Content-Type": "text/html"}, body="<html>")
        await post(running, dm(emulate, "one"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert not any("include_all_metadata" in call.params for call in emulate.slack.calls("conversations.history"))


@pytest.mark.parametrize(("content_type", "body"), UNREADABLE.values(), ids=UNREADABLE)
async def test_a_direct_conversation_that_was_not_opened_is_opened_again_and_nothing_is_marked(
    run: Run, slack: Slack, emulate: Emulate, content_type: str, body: str
) -> None:
    async with run(slack, private_answers="open") as running:
        ts = emulate.slack_post("alice", emulate.slack_channel_id, f"{BOT} accounts")
        channel = emulate.slack_dm("alice")
        headers = {"Content-Type": content_type}
        emulate.slack.fail("/api/conversations.open", 200, headers=headers, body=body)
        await post(running, events.app_mention(f"{BOT} accounts", ts=ts))
        await wait_until_async(lambda: emulate.slack_messages(channel), what="the answer")
        assert emulate.slack_messages(channel)[0]["text"].startswith("You asked in")


@pytest.mark.parametrize(("content_type", "body"), UNREADABLE.values(), ids=UNREADABLE)
async def test_the_start_continues_if_another_server_answers_for_slack(
    run: Run, slack: Slack, emulate: Emulate, content_type: str, body: str
) -> None:
    emulate.slack.fail("/api/auth.test", 200, headers={"Content-Type": content_type}, body=body)
    async with run(slack) as running:
        await post(running, dm(emulate, "one"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]


def _looked_up(emulate: Emulate) -> bool:
    return bool(emulate.slack.calls("conversations.history") or emulate.slack.calls("conversations.replies"))


async def test_a_refused_answer_does_not_delay_the_next(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        refused = {"ok": False, "error": "is_archived"}
        emulate.slack.fail("/api/chat.postMessage", 200, body=refused)
        running.answers += ["refused", "taken"]
        for text in ("one", "two"):
            await post(running, dm(emulate, text))
        assert await said(emulate, channel, 1) == ["taken"]
        assert len(emulate.slack.calls("chat.postMessage")) == 2
