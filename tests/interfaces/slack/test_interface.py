import json
from collections.abc import Callable
from typing import Any

import pytest
from interfaces_run import Run
from peers import seed
from peers import slack_events as events
from peers.emulate import Emulate
from peers.wait import wait_until_async
from slack_run import BOT, dm, post, said

from gateway import (
    SettingError,
)
from interfaces.slack import Slack


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


@pytest.mark.parametrize("stored", [{}, {"event": None}, {"event": {"type": "reaction_added"}}])
async def test_a_stored_payload_that_is_no_message_is_named(slack: Slack, stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="neither a message, a mention nor a slash command"):
        await slack.parse(json.dumps(stored))
