"""Edits and deletions in Slack: https://docs.slack.dev/reference/events/message/message_changed"""

from collections.abc import Mapping
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said
from support.gate import Gate

from interfaces.slack import Slack

pytestmark = pytest.mark.long


def tombstone(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that follows when a message is deleted that has replies."""
    payload = events.message_changed(before, "This message was deleted.")
    message = payload["event"]["message"]
    del message["edited"]
    message |= {"subtype": "tombstone", "user": "USLACKBOT", "thread_ts": message["ts"], "hidden": True}
    return payload


def unfurled(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that follows when Slack adds the preview of a link."""
    payload = events.message_changed(before, before["event"]["text"])
    message = payload["event"]["message"]
    del message["edited"]
    message["attachments"] = [{"from_url": "https://example.com", "title": "Example"}]
    return payload


async def test_a_message_that_is_edited_before_its_turn_is_answered_as_edited(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    gate, channel = Gate(), emulate.slack_dm("alice")
    async with run(slack, model=FunctionModel(gate.model)) as running:
        await post(running, dm(emulate, "before"))
        await gate.holds(1)
        written = dm(emulate, "helo")
        await post(running, written)
        assert await post(running, events.message_changed(written, "hello")) == 200
        gate.opened.set()
        assert await said(emulate, channel, 2) == ["answer to before", "answer to hello"]


async def test_an_edit_in_a_thread_replaces_the_message_of_the_mention(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    gate = Gate()
    async with run(slack, model=FunctionModel(gate.model)) as running:
        first = events.app_mention(f"{BOT} before")
        await post(running, first)
        await gate.holds(1)
        thread = first["event"]["ts"]
        written = events.app_mention(f"{BOT} helo", thread_ts=thread)
        await post(running, written)
        as_message = {**written, "event": {**written["event"], "type": "message"}}
        await post(running, events.message_changed(as_message, f"{BOT} hello"))
        gate.opened.set()
        answers = await said(emulate, seed.SLACK_CHANNEL_ID, 2, thread)
        assert answers == ["answer to before", "answer to hello"]


@pytest.mark.parametrize("gone", [events.message_deleted, tombstone], ids=["deleted", "tombstone"])
async def test_a_message_that_is_deleted_before_its_turn_is_not_answered(
    run: Run, slack: Slack, emulate: Emulate, gone: Any
) -> None:
    gate, channel = Gate(), emulate.slack_dm("alice")
    async with run(slack, model=FunctionModel(gate.model)) as running:
        await post(running, dm(emulate, "before"))
        await gate.holds(1)
        written = dm(emulate, "secret")
        await post(running, written)
        await post(running, dm(emulate, "after"))
        assert await post(running, gone(written)) == 200
        gate.opened.set()
        assert await said(emulate, channel, 2) == ["answer to before", "answer to after"]


async def test_a_deletion_without_the_content_of_the_message_withdraws_it(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    gate, channel = Gate(), emulate.slack_dm("alice")
    async with run(slack, model=FunctionModel(gate.model)) as running:
        await post(running, dm(emulate, "before"))
        await gate.holds(1)
        written = dm(emulate, "secret")
        await post(running, written)
        payload = events.message_deleted(written)
        del payload["event"]["previous_message"]
        assert await post(running, payload) == 200
        gate.opened.set()
        await post(running, dm(emulate, "after"))
        assert await said(emulate, channel, 2) == ["answer to before", "answer to after"]


async def test_an_edit_of_an_answered_message_is_a_new_message_if_the_operator_wants_that(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack, settings={"answer_edits": True}) as running:
        written = dm(emulate, "helo https://example.com")
        await post(running, written)
        await said(emulate, channel, 1)
        await running.delivered()
        for payload in (unfurled(written), events.message_changed(written, written["event"]["text"])):
            assert await post(running, payload) == 200  # only the preview of a link changed
        by_another = events.message_changed(written, "forged")
        by_another["event"]["message"]["edited"]["user"] = seed.BOB.slack_id
        await post(running, by_another)
        await post(running, events.message_changed(written, "hello"))
        assert await said(emulate, channel, 2) == ["heard", "heard"]
        await post(running, dm(emulate, "after"))
        await said(emulate, channel, 3)
        assert running.prompts == ["helo https://example.com", "hello", "after"]


async def test_edits_and_deletions_of_answered_messages_start_nothing(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        written = dm(emulate, "hello")
        await post(running, written)
        await said(emulate, channel, 1)
        for payload in (events.message_changed(written, "hi"), tombstone(written), events.message_deleted(written)):
            assert await post(running, payload) == 200
        await post(running, dm(emulate, "after"))
        await said(emulate, channel, 2)
        assert running.prompts == ["hello", "after"]


async def test_a_message_that_comes_after_its_edit_is_answered_as_edited(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack) as running:
        written = dm(emulate, "helo")
        await post(running, events.message_changed(written, "hello"))
        await post(running, written)
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert running.prompts == ["hello"]


async def test_an_edit_without_a_time_is_refused(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        payload = events.message_changed(dm(emulate, "helo"), "hello")
        payload["event"]["ts"] = "soon"
        assert await post(running, payload) == 400
