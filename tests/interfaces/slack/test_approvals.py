"""The conversations in Slack in which an answer to a question counts."""

import pytest
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said
from support.stage import CANCEL, Orders, obey

from interfaces.slack import Slack


async def test_an_answer_counts_only_in_the_thread_of_the_question(run: Run, slack: Slack, emulate: Emulate) -> None:
    orders, channel = Orders(), emulate.slack_dm("alice")
    async with run(slack, [orders], model=FunctionModel(obey)) as running:
        asked, other = (emulate.slack_post("alice", channel, text) for text in ("one", "other"))
        await post(running, dm(emulate, CANCEL, thread_ts=asked))
        assert "May I do this" in (await said(emulate, channel, 1, asked))[0]
        await running.delivered()
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
        await running.delivered()
        question = emulate.slack_messages(channel)[-1]["ts"]
        await post(running, dm(emulate, "yes", thread_ts=other))
        assert await said(emulate, channel, 1, other) == ["heard: yes"]
        assert orders.cancelled == []
        await post(running, dm(emulate, "yes", **({"thread_ts": question} if is_reply else {})))
        await wait_until_async(lambda: orders.cancelled == ["4711"], what="it is done")
