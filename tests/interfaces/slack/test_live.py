"""Streams, previews and statuses of running turns in Slack."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from peers import seed
from peers.emulate.server import Emulate
from peers.emulate.slack import is_preview
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.agents.writer import Writer
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said

from gateway import Conversation, Identity, Message, PhaseEnded, PhaseStarted, TextDelta, ToolEnded, ToolStarted
from gateway.channels.live import MessageView, Progress
from gateway.channels.live.previews import NoPreviewLog
from interfaces.slack import Slack
from toolkits import Toolkit, tool

STREAMING = "in_progress"  # the state of a stream
STREAM_METHODS = ("chat.startStream", "chat.appendStream", "chat.stopStream")


class Vault(Toolkit):
    private = True

    @tool
    async def secret(self) -> str:
        """Read a secret."""
        return "the secret"


def message_in(channel: str, thread: str) -> Message:
    where = Conversation("slack", seed.SLACK_TEAM_ID, f"{channel}/{thread}", shared=True)
    sender = Identity("slack", seed.SLACK_TEAM_ID, "U1")
    return Message(id=thread, text="", sender=sender, sender_name="", conversation=where)


async def show(view: MessageView, progress: Progress) -> None:
    while (call := await view.plan(progress)) is not None:
        await call()


async def as_it_is(text: str) -> list[str]:
    return [text]


def methods(emulate: Emulate) -> list[str]:
    """Return the methods that the bot has called to show something, in order."""
    own = [call for call in emulate.slack.calls() if call.person == emulate.slack_bot_user_id]
    called = [call.path.removeprefix("/api/") for call in own]
    return [method for method in called if method.startswith("chat.")]


async def shown(emulate: Emulate, channel: str, thread: str, until: Callable[[list[Any]], bool]) -> list[Any]:
    """Wait until the bot's messages in a thread fulfil a condition, and return them."""

    def own() -> list[Any]:
        found = emulate.slack_messages(channel, thread)
        return [message for message in found if message.get("user") == emulate.slack_bot_user_id]

    await wait_until_async(lambda: until(own()), what="the bot's messages are as expected")
    return own()


async def test_an_answer_is_streamed_in_a_thread_and_completed(run: Run, slack: Slack, emulate: Emulate) -> None:
    writer, channel = Writer(), emulate.slack_channel_id
    thread = emulate.slack_post("alice", channel, f"{BOT} hello")
    async with run(slack, model=writer.model) as running:
        await post(running, events.app_mention(f"{BOT} hello", ts=thread))
        writer.write("**Hello**, ", "<!channel> this is")
        (preview,) = await shown(
            emulate, channel, thread, lambda found: any("this is" in each["text"] for each in found)
        )
        assert preview["text"] == "**Hello**, &lt;!channel> this is"
        writer.write(" the answer.")
        await shown(emulate, channel, thread, lambda found: "the answer" in found[0]["text"])
        writer.end()
        await said(emulate, channel, 1, thread)  # the stream has ended; an update of its text follows
        await running.delivered()
    assert await said(emulate, channel, 1, thread) == ["*Hello*, &lt;!channel&gt; this is the answer."]
    (message,) = await shown(emulate, channel, thread, lambda found: len(found) == 1)
    assert (message["ts"], is_preview(message)) == (preview["ts"], False)
    called = methods(emulate)
    assert called[0] == "chat.startStream"
    assert called[-2:] == ["chat.stopStream", "chat.update"]
    started = emulate.slack.calls("chat.startStream")[0].params
    assert started["recipient_team_id"], started["recipient_user_id"]


async def test_a_workspace_that_refuses_streams_gets_edits_and_is_tried_once(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    writer, channel = Writer(), emulate.slack_channel_id
    emulate.slack.fail("/api/chat.startStream", 200, times=9, body={"ok": False, "error": "unknown_method"})
    async with run(slack, model=writer.model) as running:
        for number in (1, 2):
            thread = emulate.slack_post("alice", channel, f"{BOT} hello")
            await post(running, events.app_mention(f"{BOT} hello", ts=thread))
            writer.write("Half of ")
            await shown(emulate, channel, thread, lambda found: any("Half of" in each["text"] for each in found))
            writer.write("the answer")
            writer.end()
            assert await said(emulate, channel, 1, thread) == ["Half of the answer"], number
        await running.delivered()
    assert methods(emulate).count("chat.startStream") == 1
    assert methods(emulate).count("chat.postMessage") == 2


async def test_a_stream_that_slack_has_ended_is_still_completed(run: Run, slack: Slack, emulate: Emulate) -> None:
    writer, channel = Writer(), emulate.slack_channel_id
    thread = emulate.slack_post("alice", channel, f"{BOT} hello")
    async with run(slack, model=writer.model) as running:
        await post(running, events.app_mention(f"{BOT} hello", ts=thread))
        writer.write("Half of ")
        (preview,) = await shown(emulate, channel, thread, lambda found: len(found) == 1)
        emulate.slack_call("chat.stopStream", channel=channel, ts=preview["ts"])
        writer.write("the answer")
        await shown(emulate, channel, thread, lambda found: "the answer" in found[0]["text"])
        writer.end()
        await shown(emulate, channel, thread, lambda found: [each["text"] for each in found] == ["Half of the answer"])
        await running.delivered()


async def test_a_long_answer_continues_in_the_next_message_while_it_is_written(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    writer, channel = Writer(), emulate.slack_channel_id
    thread = emulate.slack_post("alice", channel, f"{BOT} hello")
    paragraphs = [f"Paragraph {number}: {'word ' * 150}".strip() for number in range(20)]
    async with run(slack, model=writer.model) as running:
        await post(running, events.app_mention(f"{BOT} hello", ts=thread))
        writer.write(*(f"{paragraph}\n\n" for paragraph in paragraphs[:2]))
        await shown(
            emulate, channel, thread, lambda found: [each.get("streaming_state") for each in found] == [STREAMING]
        )
        writer.write(*(f"{paragraph}\n\n" for paragraph in paragraphs[2:]))
        await shown(emulate, channel, thread, lambda found: len(found) > 1)
        writer.end()
        parts = slack.presenter.parts("\n\n".join(paragraphs))
        await said(emulate, channel, len(parts), thread)
        await running.delivered()
    assert await said(emulate, channel, len(parts), thread) == parts
    assert len(await shown(emulate, channel, thread, bool)) == len(parts)


async def test_a_direct_message_shows_at_once_that_it_is_being_answered(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    writer, channel = Writer(), emulate.slack_dm("alice")
    async with run(slack, model=writer.model) as running:
        await post(running, dm(emulate, "hello"))

        def texts() -> list[str]:
            own = [each for each in emulate.slack_messages(channel) if each["user"] == emulate.slack_bot_user_id]
            return [each["text"] for each in own]

        await wait_until_async(lambda: texts() == ["_Thinking…_"], what="the person sees that the bot works")
        writer.write("Half of ")
        await wait_until_async(lambda: texts() == ["Half of …"], what="the beginning of the answer")
        writer.write("the answer")
        writer.end()
        assert await said(emulate, channel, 1) == ["Half of the answer"]
        await running.delivered()
        assert texts() == ["Half of the answer"]


async def test_an_answer_that_may_be_private_is_not_streamed_in_a_channel(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    writer, channel = Writer(), emulate.slack_channel_id
    thread = emulate.slack_post("alice", channel, f"{BOT} hello")
    async with run(slack, [Vault()], model=writer.model) as running:
        await post(running, events.app_mention(f"{BOT} hello", ts=thread))
        await wait_until_async(lambda: writer.asked, what="the model is called")
        writer.write("I will look. ")
        writer.end()
        assert await said(emulate, channel, 1, thread) == ["I will look."]
        await running.delivered()
    assert not set(methods(emulate)) & {*STREAM_METHODS, "chat.update"}


async def test_phases_are_task_cards_in_a_thread_where_the_app_has_them(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    channel = emulate.slack_channel_id
    thread = emulate.slack_post("alice", channel, "hello")
    async with run(slack):
        view, progress = slack.presenter.live_view(message_in(channel, thread)), Progress()
        assert isinstance(view, MessageView)
        progress.note(PhaseStarted("Search"))
        await show(view, progress)
        await show(view, progress)  # nothing is new
        progress.note(ToolStarted("c1", "look"))
        await show(view, progress)
        progress.note(ToolEnded("c1", "look"))
        progress.note(PhaseEnded("Search", 1234))
        await show(view, progress)
    started, first, second = [
        call for call in emulate.slack.calls() if call.path.removeprefix("/api/") in STREAM_METHODS
    ]
    assert (started.params["thread_ts"], started.params["channel"]) == (thread, channel)
    assert (started.params["recipient_team_id"], started.params["recipient_user_id"]) == (seed.SLACK_TEAM_ID, "U1")
    cards = [
        [(card["id"], card["title"], card["status"]) for card in chunks(call)] for call in (started, first, second)
    ]
    assert cards == [
        [("0", "Search", "in_progress")],
        [("1", "Look", "in_progress")],
        [("0", "Search (1.2 s)", "complete"), ("1", "Look", "complete")],
    ]


def chunks(call: Any) -> list[dict[str, Any]]:
    found = call.params["chunks"]
    return json.loads(found) if isinstance(found, str) else found


async def test_the_assistants_status_is_set_in_a_thread_and_removed(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_channel_id
    async with run(slack):
        view, progress = slack.presenter.live_view(message_in(channel, "1.5")), Progress()
        await view.indicate(progress)
        progress.note(PhaseStarted("Search"))
        await view.indicate(progress)
        await view.close()
    calls = [call.params for call in emulate.slack.calls("/api/assistant.threads.setStatus")]
    assert [call["status"] for call in calls] == ["is thinking…", "is working: Search…", ""]
    assert {(call["channel_id"], call["thread_ts"]) for call in calls} == {(channel, "1.5")}
    assert emulate.slack_said(channel) == []


async def test_previews_whose_id_was_lost_are_found_and_removed(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_channel_id
    thread = emulate.slack_post("alice", channel, "hello")
    async with run(slack):
        message = message_in(channel, thread)
        await slack.presenter.send_text(message.conversation, "an earlier answer", "", key="k1")
        since = datetime.now(UTC)
        for streams in (True, False):
            view, progress = slack.presenter.live_view(message), Progress()
            assert isinstance(view, MessageView)
            await view.begin(NoPreviewLog(), as_it_is)
            progress.note(TextDelta("half of it"))
            if not streams:
                slack.presenter._poster._without_streams.add(seed.SLACK_TEAM_ID)
            await show(view, progress)
        assert len(emulate.slack_messages(channel, thread)) == 4
        await slack.presenter.remove_preview(message.conversation, None, since)
        assert [each["text"] for each in emulate.slack_messages(channel, thread)] == ["hello", "an earlier answer"]
