"""Events of Slack are answered in the conversation from which they come."""

import pytest
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said

from gateway import SettingError
from interfaces.slack import Slack


async def test_a_direct_message_is_answered_there(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        assert await post(running, dm(emulate, "hello")) == 200
        assert await said(emulate, channel, 1) == ["heard"]
        sent = emulate.slack.calls("chat.postMessage")[-1].params
        assert sent["unfurl_links"] in (False, "false", "0", 0)
        assert sent["unfurl_media"] in (False, "false", "0", 0)
        assert "thread_ts" not in emulate.slack_messages(channel)[-1]


async def test_a_mention_that_is_two_events_is_answered_once_in_its_thread(
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


async def test_a_thread_that_the_bot_has_joined_may_be_answered_without_a_mention(run: Run, emulate: Emulate) -> None:
    slack = Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, answer_in_joined_threads=True)
    async with run(slack) as running:
        assert await post(running, events.message("not joined", thread_ts="1700000000.000009")) == 200
        mention = events.app_mention(f"{BOT} hello")
        assert await post(running, mention) == 200
        assert await post(running, events.message("and more", thread_ts=mention["event"]["ts"])) == 200
        await wait_until_async(lambda: len(running.prompts) == 2, what="two turns")
        assert running.prompts == ["hello", "and more"]


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


async def test_an_unreachable_slack_does_not_stop_the_start(run: Run, emulate: Emulate) -> None:
    async with run(Slack("xoxb-x", emulate.signing_secret, "http://127.0.0.1:9/api/")) as running:
        assert await post(running, events.message("hello, all")) == 200


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


async def test_a_model_cannot_notify_a_whole_channel(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        running.answers.append("<!channel> [all](!channel) ![all](<!here>) [bob](@U0BOBBY01)")
        await post(running, dm(emulate, "shout"))
        await said(emulate, emulate.slack_dm("alice"), 1)
        sent = emulate.slack.calls("chat.postMessage")[-1].params["text"]
        assert "<" not in sent
        assert sent.startswith("&lt;!channel&gt; all (!channel)")


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff"])
async def test_a_body_that_is_not_an_event_is_refused(run: Run, slack: Slack, body: bytes) -> None:
    async with run(slack) as running:
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.status_code == (401 if body == b"\xff" else 400)  # Slack signs only text
        assert running.inbox() == []
