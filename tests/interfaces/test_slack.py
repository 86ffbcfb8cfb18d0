import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from interfaces_run import Run, Running
from peers import seed
from peers import slack_events as events
from peers.emulate import Emulate
from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from stage import obey

from gateway import (
    Agent,
    Conversation,
    Identity,
    Message,
    PhaseEnded,
    PhaseStarted,
    Route,
    SettingError,
    ToolEnded,
    ToolStarted,
    TurnContext,
)
from gateway.live import Steps
from interfaces.slack import Slack
from toolkits import Toolkit, tool

BOT = f"<@{seed.SLACK_BOT_USER_ID}>"


@pytest.fixture
def slack(emulate: Emulate) -> Slack:
    return Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)


async def post(running: Running, payload: dict[str, Any], **signing: Any) -> int:
    body = json.dumps(payload).encode()
    headers = events.headers(body, **signing)
    return (await running.client.post("/slack/events", content=body, headers=headers)).status_code


async def said(emulate: Emulate, channel: str, count: int, thread: str | None = None) -> list[str]:
    await wait_until_async(lambda: len(emulate.slack_said(channel, thread)) >= count, what=f"{count} answers")
    return emulate.slack_said(channel, thread)


def dm(emulate: Emulate, text: str, **fields: Any) -> dict[str, Any]:
    return events.direct_message(text, channel=emulate.slack_dm("alice"), **fields)


async def test_the_request_url_is_verified(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        body = json.dumps(events.url_verification("challenge")).encode()
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.json() == {"challenge": "challenge"}


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
async def test_what_slack_did_not_sign_leaves_no_trace(
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


async def test_a_body_that_no_platform_sends_is_cut_off(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        body = b"x" * 2_000_000
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.status_code == 413


async def test_a_direct_message_is_answered_there(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        assert await post(running, dm(emulate, "hello")) == 200
        assert await said(emulate, channel, 1) == ["heard"]
        sent = emulate.slack.calls("chat.postMessage")[-1].params
        assert sent["unfurl_links"] in (False, "false", "0", 0)
        assert sent["unfurl_media"] in (False, "false", "0", 0)
        assert "thread_ts" not in emulate.slack_messages(channel)[-1]


async def test_a_mention_is_answered_in_its_thread_once_though_it_is_two_events(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack) as running:
        emulate.connect(slack_events_url="")
        ts = emulate.slack_post("alice", emulate.slack_channel_id, f"{BOT} hello")
        pair = events.mention_pair(f"{BOT} hello", ts=ts)
        for payload in (*pair, *reversed(pair)):
            assert await post(running, payload) == 200
        assert await post(running, events.app_mention(f"{BOT} again", thread_ts=ts)) == 200
        assert await said(emulate, emulate.slack_channel_id, 2, ts) == ["heard", "heard"]
        assert running.prompts == ["hello", "again"]


async def test_a_second_delivery_is_answered_once(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        payload = dm(emulate, "hello")
        assert await post(running, payload) == 200
        assert await post(running, payload, retry=1) == 200
        assert await post(running, dm(emulate, "next")) == 200
        await said(emulate, emulate.slack_dm("alice"), 2)
        assert running.prompts == ["hello", "next"]


async def test_an_event_without_authorizations_is_understood(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        payload = events.message(f"{BOT} hello")
        del payload["authorizations"], payload["event"]["channel_type"]
        assert await post(running, payload) == 200
        await wait_until_async(lambda: running.prompts, what="the turn")
        assert running.prompts == ["hello"]


async def test_what_is_not_a_new_message_for_the_bot_starts_no_turn(run: Run, slack: Slack, emulate: Emulate) -> None:
    written = events.message("hello")
    ignored = [
        events.message("hello, all"),
        events.message("a reply", thread_ts="1700000000.000001"),
        events.message_changed(dm(emulate, "hello"), "hello!"),
        events.message_deleted(written),
        events.bot_message(f"{BOT} hello"),
        events.own_message(f"{BOT} hello"),
        events.own_message("hello", channel="D0ALICE01"),
        events.direct_message("Your workspace has a new owner.", "USLACK"),
        events.direct_message("A reminder of Slack's own.", "USLACKBOT"),
        events.app_mention(f"{BOT} was added", "USLACK"),
        events.channel_join(),
        events.member_joined_channel(),
        events.tokens_revoked(),
    ]
    async with run(slack) as running:
        for payload in ignored:
            assert await post(running, payload) == 200
        assert running.inbox() == []


async def test_a_thread_that_the_bot_has_joined_may_be_answered_without_a_mention(run: Run, emulate: Emulate) -> None:
    slack = Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, answer_in_joined_threads=True)
    async with run(slack) as running:
        assert await post(running, events.message("not joined", thread_ts="1700000000.000009")) == 200
        mention = events.app_mention(f"{BOT} hello")
        assert await post(running, mention) == 200
        assert await post(running, events.message("and more", thread_ts=mention["event"]["ts"])) == 200
        await wait_until_async(lambda: len(running.prompts) == 2, what="two turns")
        assert running.prompts == ["hello", "and more"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        (
            "see <http://example.com|example.com> and <https://a.test/x?y=1&amp;z=2>",
            "see example.com and https://a.test/x?y=1&z=2",
        ),
        ("<mailto:a@b.test|a@b.test> in <#C0GENERAL|general> <!here>", "a@b.test in #general @here"),
        ("ask <@U0BOBBY01>,\n  please", "ask <@U0BOBBY01>,\n  please"),
        (f"hey {BOT} you", "hey you"),
        (f"{BOT}\nline one\n\n  line two", "line one\n\n  line two"),
    ],
)
async def test_the_text_reaches_the_model_as_it_was_written(
    run: Run, slack: Slack, emulate: Emulate, text: str, written: str
) -> None:
    async with run(slack) as running:
        await post(running, dm(emulate, text))
        await wait_until_async(lambda: running.prompts, what="the turn")
        assert running.prompts == [written]


async def test_a_file_alone_gets_one_plain_sentence(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        await post(running, events.file_share("", channel=channel, channel_type="im"))
        assert await said(emulate, channel, 1) == ["I cannot read attachments yet, only text."]
        assert running.prompts == []


@pytest.mark.parametrize(
    ("comment", "prompt"),
    [
        ("", "Forwarded message of Bob:\nlunch at <noon>?"),
        ("is that so?", "is that so?\n\nForwarded message of Bob:\nlunch at <noon>?"),
    ],
)
async def test_a_forwarded_message_is_read(run: Run, slack: Slack, emulate: Emulate, comment: str, prompt: str) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        assert await post(running, events.forward(comment, "lunch at &lt;noon&gt;?", channel=channel)) == 200
        assert await said(emulate, channel, 1) == ["heard"]
        assert running.prompts == [prompt]


async def test_a_forwarded_message_is_no_command_of_who_forwards_it(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        await post(running, events.forward("", "accounts", channel=channel))
        assert await said(emulate, channel, 1) == ["heard"]


@pytest.mark.parametrize(
    "share", [{"text": ""}, {"text": "", "files": [{"id": "F1", "filetype": "png"}]}], ids=["nothing", "a file"]
)
async def test_a_forwarded_message_without_a_text_gets_one_plain_sentence(
    run: Run, slack: Slack, emulate: Emulate, share: dict[str, Any]
) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        await post(running, events.forward("", "", channel=channel, share=share))
        assert await said(emulate, channel, 1) == ["I cannot read attachments yet, only text."]
        assert running.prompts == []


async def test_a_long_answer_comes_in_parts_in_order(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        words = " ".join(str(number) for number in range(3000))
        running.answers.append(words)
        await post(running, dm(emulate, "count"))
        parts = await said(emulate, emulate.slack_dm("alice"), 4)
        assert " ".join(parts) == words
        assert all(len(part) <= 4000 for part in parts)


async def test_a_rejected_token_stops_the_start(run: Run, emulate: Emulate) -> None:
    slack = Slack("xoxb-wrong", emulate.signing_secret, emulate.slack_url)
    with pytest.raises(SettingError, match="SLACK_BOT_TOKEN was rejected") as raised:
        async with run(slack):
            pytest.fail("it started")
    assert "xoxb-wrong" not in str(raised.value)


async def test_a_slack_that_cannot_be_reached_does_not(run: Run, emulate: Emulate) -> None:
    async with run(Slack("xoxb-x", emulate.signing_secret, "http://127.0.0.1:9/api/")) as running:
        assert await post(running, events.message("hello, all")) == 200


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"SLACK_SIGNING_SECRET is not set.*\nSLACK_BOT_TOKEN is not set"):
        Slack()
    with pytest.raises(SettingError, match="SLACK_API_URL is malformed"):
        Slack("xoxb-x", "s", "slack.example.com")


async def test_what_slack_asks_to_wait_for_is_waited_for_and_sent_once(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        limited = {"ok": False, "error": "ratelimited"}
        emulate.slack.fail("/api/chat.postMessage", 429, headers={"Retry-After": "3"}, body=limited)
        began = time.monotonic()
        await post(running, dm(emulate, "hello"))
        assert await said(emulate, channel, 1) == ["heard"]
        assert time.monotonic() - began >= 3  # seconds; a retry of the gateway's own would come within two
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
async def test_an_answer_that_slack_took_and_did_not_acknowledge_is_found_and_not_sent_again(
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
async def test_the_look_up_asks_for_no_more_than_slack_gives_and_waits_as_long_as_it_says(
    run: Run, slack: Slack, emulate: Emulate, place: str
) -> None:
    """Apps outside the Marketplace have 15 messages once a minute: the limit is met at once here, and short."""
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
        assert time.monotonic() - began >= 4  # seconds; a retry of the gateway's own would come within two
        assert [call.status for call in emulate.slack.calls(method)] == [429, 200]
        assert {str(call.params["limit"]) for call in emulate.slack.calls(method)} == {"15"}
        await post(running, dm(emulate, "two", thread_ts=thread) if thread else dm(emulate, "two"))
        assert await said(emulate, channel, 2, thread) == ["heard", "heard"]


async def test_an_answer_that_slack_did_not_take_is_sent_when_it_is_not_found(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
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
    """A proxy in between has answered: whether Slack took the message, it alone tells."""
    async with run(slack) as running:
        headers = {"Content-Type": content_type}
        emulate.slack.fail("/api/chat.postMessage", 200, headers=headers, body=body, after=after)
        await post(running, dm(emulate, "one"))
        await wait_until_async(lambda: _looked_up(emulate), what="Slack is asked")
        await post(running, dm(emulate, "two"))
        assert await said(emulate, emulate.slack_dm("alice"), 2) == ["heard", "heard"]
        assert len(emulate.slack.calls("chat.postMessage")) == (2 if after else 3)


@pytest.mark.parametrize("status", [403, 407])
async def test_what_a_proxy_refuses_is_sent_again_without_a_look(
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
async def test_a_start_where_something_else_answers_for_slack_goes_on(
    run: Run, slack: Slack, emulate: Emulate, content_type: str, body: str
) -> None:
    emulate.slack.fail("/api/auth.test", 200, headers={"Content-Type": content_type}, body=body)
    async with run(slack) as running:
        await post(running, dm(emulate, "one"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]


def _looked_up(emulate: Emulate) -> bool:
    return bool(emulate.slack.calls("conversations.history") or emulate.slack.calls("conversations.replies"))


async def test_a_refused_answer_does_not_hold_up_the_next(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        refused = {"ok": False, "error": "is_archived"}
        emulate.slack.fail("/api/chat.postMessage", 200, body=refused)
        running.answers += ["refused", "taken"]
        for text in ("one", "two"):
            await post(running, dm(emulate, text))
        assert await said(emulate, channel, 1) == ["taken"]
        assert len(emulate.slack.calls("chat.postMessage")) == 2


async def test_a_thread_in_a_direct_message_is_answered_in_the_thread(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        ts = emulate.slack_post("alice", channel, "root")
        await post(running, dm(emulate, "in the thread", thread_ts=ts))
        assert await said(emulate, channel, 1, ts) == ["heard"]
        assert emulate.slack_messages(channel, ts)[-1]["thread_ts"] == ts


async def test_a_mention_at_the_top_of_a_channel_opens_a_thread_there(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        ts = emulate.slack_post("alice", emulate.slack_channel_id, f"{BOT} hello")
        await post(running, events.app_mention(f"{BOT} hello", ts=ts))
        assert await said(emulate, emulate.slack_channel_id, 1, ts) == ["heard"]
        assert emulate.slack.calls("chat.postMessage")[-1].params["thread_ts"] == ts


async def test_a_joined_thread_is_not_answered_without_a_mention_unless_asked_for(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack) as running:
        mention = events.app_mention(f"{BOT} hello")
        await post(running, mention)
        await post(running, events.message("between us", thread_ts=mention["event"]["ts"]))
        await post(running, events.app_mention(f"{BOT} again", thread_ts=mention["event"]["ts"]))
        await wait_until_async(lambda: len(running.prompts) == 2, what="two turns")
        assert running.prompts == ["hello", "again"]
        assert len(running.inbox()) == 2


async def test_the_barest_envelope_is_understood(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    event = {"type": "message", "user": seed.ALICE.slack_id, "text": "hello", "ts": events.ts(), "channel": channel}
    bare = {"type": "event_callback", "team_id": seed.SLACK_TEAM_ID, "event_id": "Ev1", "event_time": 1, "event": event}
    async with run(slack) as running:
        for _ in range(2):
            assert await post(running, bare) == 200
        assert await said(emulate, channel, 1) == ["heard"]
        assert len(running.inbox()) == 1


async def test_a_mention_of_somebody_whose_id_begins_like_the_bots_is_not_for_it(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        assert await post(running, events.message(f"<@{seed.SLACK_BOT_USER_ID}2> hello")) == 200
        assert await post(running, events.message("<@U0BOBBY01> hello")) == 200
        assert running.inbox() == []


async def test_a_file_whose_text_is_null_is_not_an_error(run: Run, slack: Slack, emulate: Emulate) -> None:
    in_a_channel = events.file_share("")
    in_a_channel["event"]["text"] = None
    channel = emulate.slack_dm("alice")
    direct = events.file_share("", channel=channel, channel_type="im")
    direct["event"]["text"] = None
    async with run(slack) as running:
        for payload in (in_a_channel, direct):
            assert await post(running, payload) == 200
        assert await said(emulate, channel, 1) == ["I cannot read attachments yet, only text."]
        assert len(running.inbox()) == 1


async def test_a_model_cannot_notify_a_whole_channel(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        running.answers.append("<!channel> [all](!channel) ![all](<!here>) [bob](@U0BOBBY01)")
        await post(running, dm(emulate, "shout"))
        await said(emulate, emulate.slack_dm("alice"), 1)
        sent = emulate.slack.calls("chat.postMessage")[-1].params["text"]
        assert "<" not in sent
        assert sent.startswith("&lt;!channel&gt; all (!channel)")


class Who(Toolkit):
    @tool
    async def who(self, context: TurnContext) -> str:
        """Tells who asks, and from which workspace."""
        return f"{context.identity.user_id} of {context.identity.tenant}"


async def test_somebody_of_another_organization_is_not_one_of_this_workspace(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack, [Who()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        alices, bobs = emulate.slack_dm("alice"), emulate.slack_dm("bob")
        await post(running, events.direct_message("who am I?", channel=alices, user_team="T0OTHER01"))
        await post(running, events.direct_message("who am I?", seed.BOB.slack_id, bobs))
        assert "U0ALICE01 of T0OTHER01" in (await said(emulate, alices, 1))[0]
        assert f"U0BOBBY01 of {seed.SLACK_TEAM_ID}" in (await said(emulate, bobs, 1))[0]


OURS, GRID, PLAIN = events.OURS, events.Organization("T0GRID001", "E0GRID001"), events.Organization("T0PLAIN01")
STRANGER = "U0STRANGE"


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("order", [1, -1], ids=["mention first", "message first"])
@pytest.mark.parametrize("named", ["ours", "other"])
@pytest.mark.parametrize(
    ("writer", "user", "known_as"),
    [
        (OURS, seed.ALICE.slack_id, OURS.team_id),
        (PLAIN, STRANGER, PLAIN.team_id),
        (GRID, STRANGER, GRID.enterprise_id),
    ],
    ids=["ours", "another workspace", "another organization"],
)
async def test_a_mention_in_a_channel_shared_with_another_organization_is_answered_once_as_its_writer(
    run: Run,
    emulate: Emulate,
    writer: events.Organization,
    user: str,
    known_as: str,
    named: str,
    order: int,
    joined: bool,
) -> None:
    other = GRID if writer == OURS else writer
    slack = Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, answer_in_joined_threads=joined)
    async with run(slack, [Who()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        thread = emulate.slack_post("alice", emulate.slack_channel_id, f"{BOT} hello")
        for number in range(2):
            at = {"ts": thread} if not number else {"ts": events.ts(), "thread_ts": thread}
            mention, message = events.mention_pair(f"{BOT} hello", user, **at)
            pair = (
                events.shared(mention, writer, other, OURS if named == "ours" else other),
                events.shared(message, writer, other),
            )
            for payload in pair[::order]:
                assert await post(running, payload) == 200
        answers = await said(emulate, emulate.slack_channel_id, 2, thread)
        assert len(running.inbox()) == 2
        assert len(answers) == 2
        assert all(f"{user} of {known_as}" in answer for answer in answers)


async def test_somebody_of_whom_a_shared_channel_does_not_tell_who_they_are_gets_no_credentials(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    payload = events.shared(events.app_mention("hello", STRANGER), PLAIN, PLAIN)
    for name in ("team", "user_team", "source_team"):
        del payload["event"][name]
    async with run(slack):
        message = await slack.parse(json.dumps(payload))
        assert message is not None
        assert message.anonymous


@pytest.mark.parametrize(
    ("given", "named"),
    [(("", "hush"), "SLACK_BOT_TOKEN"), (("xoxb-hush", ""), "SLACK_SIGNING_SECRET")],
)
def test_an_empty_secret_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch, given: tuple[str, str], named: str
) -> None:
    monkeypatch.delenv(named, raising=False)
    with pytest.raises(SettingError, match=f"{named} is") as raised:
        Slack(*given)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff"])
async def test_a_body_that_is_no_event_is_refused(run: Run, slack: Slack, body: bytes) -> None:
    async with run(slack) as running:
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.status_code == (401 if body == b"\xff" else 400)  # what Slack signs is text
        assert running.inbox() == []


async def post_command(running: Running, form: dict[str, str], **signing: Any) -> httpx.Response:
    body = urlencode(form).encode()
    headers = events.headers(body, content_type="application/x-www-form-urlencoded", **signing)
    return await running.client.post("/slack/commands", content=body, headers=headers)


@pytest.mark.parametrize(("command", "text"), [("/accounts", ""), ("/bot", "accounts")])
async def test_a_slash_command_is_answered_in_a_direct_message_once(
    run: Run, slack: Slack, emulate: Emulate, command: str, text: str
) -> None:
    async with run(slack) as running:
        form = events.slash_command(command, text)
        answer = await post_command(running, form)
        assert answer.json() == {"response_type": "ephemeral", "text": "I answer you in a direct message."}
        await post_command(running, form)
        assert "no account" in (await said(emulate, emulate.slack_dm("alice"), 1))[0]
        assert len(running.inbox()) == 1
        assert running.prompts == []


async def test_a_slash_command_is_one_of_the_direct_conversation(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        direct = emulate.slack_dm("alice")
        await post(running, dm(emulate, "apples"))
        await said(emulate, direct, 1)
        await post_command(running, events.slash_command("/bot", "what was that"))
        await said(emulate, direct, 2)
        assert "apples" in str(running.told[1])
        await post_command(running, events.slash_command("/new"))
        assert "new conversation" in (await said(emulate, direct, 3))[2]
        await post(running, dm(emulate, "pears"))
        await said(emulate, direct, 4)
        assert running.prompts == ["apples", "/bot what was that", "pears"]
        assert "apples" not in str(running.told[2])


async def test_a_slash_command_of_the_operators_own_is_for_its_agent(run: Run, slack: Slack, emulate: Emulate) -> None:
    def echo(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(f"mail: {messages[-1].parts[-1].content}")])

    mail = Agent(model=FunctionModel(echo), name="mail", description="I read mail.")
    async with run(slack, routes=[Route(mail, command="mail")]) as running:
        await post_command(running, events.slash_command("/Mail", "what is\nnew"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["mail: what is\nnew"]
        await post_command(running, events.slash_command("/mail"))
        assert "I read mail." in (await said(emulate, emulate.slack_dm("alice"), 2))[1]
        assert running.prompts == []


async def test_a_slash_command_of_somebody_who_cannot_be_answered_is_not_taken(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    emulate.slack.fail("/api/conversations.open", 503)
    async with run(slack) as running:
        answer = await post_command(running, events.slash_command("/mail", "what is new"))
        assert "Please try again" in answer.json()["text"]
        assert running.inbox() == []


async def test_a_slash_command_that_slack_did_not_sign_leaves_no_trace(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        form = events.slash_command("/disconnect")
        assert (await post_command(running, form, secret="another")).status_code == 401
        assert (await post_command(running, form, age=events.STALE)).status_code == 401
        assert (await post_command(running, {"command": "/disconnect"})).status_code == 400
        assert (await post_command(running, {"ssl_check": "1"})).status_code == 200
        assert running.inbox() == []


@pytest.mark.parametrize("text", ["accounts", "Accounts", "/accounts"])
async def test_in_a_thread_a_command_is_a_mention_and_its_answer_goes_to_its_person_alone(
    run: Run, slack: Slack, emulate: Emulate, text: str
) -> None:
    async with run(slack, private_answers="open") as running:
        channel = emulate.slack_channel_id
        thread = emulate.slack_post("alice", channel, f"{BOT} {text}")
        await post(running, events.app_mention(f"{BOT} {text}", channel=channel, ts=thread))
        assert "no account" in (await said(emulate, emulate.slack_dm("alice"), 1))[0]
        assert not any("no account" in text for text in emulate.slack_said(channel, thread))
        assert running.prompts == []


async def test_in_a_thread_a_new_conversation_is_a_mention(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel, thread = emulate.slack_channel_id, None
        for number, text in enumerate(("apples", "new", "pears", "new apples"), 1):
            ts = emulate.slack_post("alice", channel, f"{BOT} {text}", thread)
            fields = {"thread_ts": thread} if thread else {}
            thread = thread or ts
            await post(running, events.app_mention(f"{BOT} {text}", channel=channel, ts=ts, **fields))
            await said(emulate, channel, number, thread)
        assert running.prompts == ["apples", "pears", "new apples"]
        assert [len(messages) for messages in running.told] == [1, 1, 3]


async def test_a_sentence_about_accounts_is_no_command(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        await post(running, dm(emulate, "accounts are due today"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]


async def test_phases_are_task_cards_in_a_thread_where_the_app_has_them(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    """The server knows no streams: what is asked of it is as Slack documents it."""
    methods = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.delete")
    stream = {"channel": emulate.slack_channel_id, "ts": "2.5"}
    for method in methods:
        emulate.slack.fail(f"/api/{method}", 200, times=9, body={"ok": True, **stream})
    async with run(slack):
        where = Conversation("slack", seed.SLACK_TEAM_ID, f"{emulate.slack_channel_id}/1.5", shared=True)
        sender = Identity("slack", "T9", "U1")
        message = Message(id="1.5", text="", sender=sender, sender_name="", conversation=where)
        view, steps = slack.presenter.live_view(message), Steps()
        steps.note(PhaseStarted("Search"))
        await view.update(steps)
        await view.update(steps)  # nothing is new
        steps.note(ToolStarted("c1", "look"))
        await view.update(steps)
        steps.note(ToolEnded("c1", "look"))
        steps.note(PhaseEnded("Search", 1234))
        await view.update(steps)
        await view.close()
    started, first, second, stopped, deleted = [
        call for call in emulate.slack.calls() if call.path.removeprefix("/api/") in methods
    ]
    assert (started.params["thread_ts"], started.params["channel"]) == ("1.5", emulate.slack_channel_id)
    assert (started.params["recipient_team_id"], started.params["recipient_user_id"]) == ("T9", "U1")
    shown = [
        [(card["id"], card["title"], card["status"]) for card in chunks(call)] for call in (started, first, second)
    ]
    assert shown == [
        [("0", "Search", "in_progress")],
        [("1", "look", "in_progress")],
        [("0", "Search (1.2 s)", "complete"), ("1", "look", "complete")],
    ]
    for call in (first, second, stopped, deleted):
        assert (call.params["channel"], call.params["ts"]) == (stream["channel"], stream["ts"])


def chunks(call: Any) -> list[dict[str, Any]]:
    found = call.params["chunks"]
    return json.loads(found) if isinstance(found, str) else found


async def test_the_assistants_status_is_shown_in_a_thread_and_taken_away(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    """The server knows no assistants: what is asked of it is as Slack documents it."""
    path = "/api/assistant.threads.setStatus"
    emulate.slack.fail(path, 200, times=3, body={"ok": True})
    async with run(slack):
        where = Conversation("slack", seed.SLACK_TEAM_ID, f"{emulate.slack_channel_id}/1.5", shared=True)
        sender = Identity("slack", seed.SLACK_TEAM_ID, "U1")
        message = Message(id="1.5", text="", sender=sender, sender_name="", conversation=where)
        view, steps = slack.presenter.live_view(message), Steps()
        assert view is not None
        await view.update(steps)
        steps.note(PhaseStarted("Search"))
        await view.update(steps)
        await view.close()
        calls = [call.params for call in emulate.slack.calls(path)]
        assert [call["status"] for call in calls] == ["is thinking…", "is at Search…", ""]
        assert {(call["channel_id"], call["thread_ts"]) for call in calls} == {(emulate.slack_channel_id, "1.5")}
        assert emulate.slack_said(emulate.slack_channel_id) == []


class Orders(Toolkit):
    """Has orders, which are cancelled if their person agrees."""

    _clone_shared_attrs = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    @tool(approval=True)
    async def cancel(self, order: str) -> str:
        """Cancels an order."""
        self.cancelled.append(order)
        return f"cancelled {order}"


CANCEL = 'call cancel {"order":"4711"}'


async def test_an_answer_counts_in_the_thread_of_the_question_alone(run: Run, slack: Slack, emulate: Emulate) -> None:
    orders, channel = Orders(), emulate.slack_dm("alice")
    async with run(slack, [orders], model=FunctionModel(obey)) as running:
        asked, other = (emulate.slack_post("alice", channel, text) for text in ("one", "other"))
        await post(running, dm(emulate, CANCEL, thread_ts=asked))
        assert "May I do this" in (await said(emulate, channel, 1, asked))[0]
        await post(running, dm(emulate, "yes", thread_ts=other))
        assert await said(emulate, channel, 1, other) == ["heard: yes"]
        await post(running, dm(emulate, "yes"))
        await wait_until_async(lambda: "heard: yes" in emulate.slack_said(channel), what="it is a message")
        assert orders.cancelled == []
        await post(running, dm(emulate, "yes", thread_ts=asked))
        assert (await said(emulate, channel, 2, asked))[1] == "cancelled 4711"
        assert orders.cancelled == ["4711"]


@pytest.mark.parametrize("is_reply", [False, True])
async def test_a_question_from_a_channel_is_answered_after_it_or_in_its_own_thread(
    run: Run, slack: Slack, emulate: Emulate, is_reply: bool
) -> None:
    orders, channel = Orders(), emulate.slack_dm("alice")
    async with run(slack, [orders], model=FunctionModel(obey)) as running:
        other = emulate.slack_post("alice", channel, "other")
        thread = emulate.slack_post("alice", emulate.slack_channel_id, "an order")
        await post(running, events.app_mention(f"{BOT} {CANCEL}", thread_ts=thread))
        assert "May I do this" in (await said(emulate, channel, 1))[0]
        question = emulate.slack_messages(channel)[-1]["ts"]
        await post(running, dm(emulate, "yes", thread_ts=other))
        assert await said(emulate, channel, 1, other) == ["heard: yes"]
        assert orders.cancelled == []
        await post(running, dm(emulate, "yes", **({"thread_ts": question} if is_reply else {})))
        await wait_until_async(lambda: orders.cancelled == ["4711"], what="it is done")
