"""Slack's rate limits are kept, and those that are not slow nobody else."""

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.agents.writer import Writer
from support.channels.running import Run, Running
from support.channels.slack import BOT, dm, post, said

from interfaces.slack import Slack

LONG = "3000"  # seconds of a pause that does not end in a test
LIMITED = {"ok": False, "error": "ratelimited"}
CHANNEL = seed.SLACK_CHANNEL_ID


def refusals(emulate: Emulate) -> list[str]:
    return [call.path for call in emulate.slack.calls() if call.status == 429]


async def mention(running: Running, emulate: Emulate) -> str:
    """Mention the bot at the top of the channel; return the `ts` of the thread of its answer."""
    thread = emulate.slack_post("alice", CHANNEL, f"{BOT} hello")
    await post(running, events.app_mention(f"{BOT} hello", ts=thread))
    return thread


@pytest.mark.long
async def test_answers_in_the_threads_of_a_channel_share_its_limit_and_direct_messages_do_not_wait(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    emulate.slack_limit()
    direct = emulate.slack_dm("alice")
    async with run(slack, paced=True) as running:
        threads = [await mention(running, emulate) for _ in range(7)]
        await post(running, dm(emulate, "hello"))
        await said(emulate, direct, 1)
        assert len(emulate.slack_said(CHANNEL)) < len(threads)
        for thread in threads:
            await said(emulate, CHANNEL, 1, thread)
        await running.delivered()
    assert refusals(emulate) == []


async def test_a_rate_limit_in_one_thread_is_that_of_its_channel(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack, paced=True) as running:
        thread = emulate.slack_post("alice", CHANNEL, f"{BOT} hello")
        emulate.slack.fail("/api/chat.postMessage", 429, headers={"Retry-After": LONG}, body=LIMITED)
        await post(running, events.app_mention(f"{BOT} hello", ts=thread))
        await running.waiting_deliveries(1)
        await mention(running, emulate)
        await running.waiting_deliveries(2)
        await post(running, dm(emulate, "hello"))
        await said(emulate, emulate.slack_dm("alice"), 1)
        assert refusals(emulate) == ["/api/chat.postMessage"]
        assert running.rows("SELECT key FROM pauses") == [(CHANNEL,)]


async def test_after_a_rate_limit_of_edits_answers_that_complete_previews_wait_in_every_channel_and_others_are_sent(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    """Refuse `chat.update`, whose limit is that of the method in the workspace."""
    writer, direct = Writer(), emulate.slack_dm("alice")
    async with run(slack, model=writer.model, paced=True) as running:
        await post(running, dm(emulate, "hello"))
        await wait_until_async(lambda: emulate.slack.calls("chat.postMessage"), what="the preview")
        emulate.slack.fail("/api/chat.update", 429, headers={"Retry-After": LONG}, body=LIMITED)
        writer.write("Half of ")
        await wait_until_async(lambda: refusals(emulate), what="the refusal of an edit")
        writer.write("the answer")
        writer.end()
        await running.waiting_deliveries(1)
        bob = emulate.slack_dm("bob")
        await post(running, events.direct_message("hello", seed.BOB.slack_id, bob))
        writer.write("short")
        writer.end()
        assert await said(emulate, bob, 1) == ["short"]
    assert emulate.slack_said(direct) == []
    assert refusals(emulate) == ["/api/chat.update"]
