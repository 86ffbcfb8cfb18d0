"""With Slack's agent view, each thread of a direct conversation is a separate conversation with a title."""

from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run, Running
from support.channels.slack import dm, post, said

from gateway import Agent, Route
from interfaces.slack import Slack, changes, parse
from interfaces.slack.agent.titles import LONGEST_TITLE, title_of

PROMPTS = ["What is new?", "What is due today?", "Who wrote last?", "Sum up my day", "One more"]
SET_TITLE, SUGGEST = "/api/assistant.threads.setTitle", "/api/assistant.threads.setSuggestedPrompts"


@pytest.fixture
def slack(emulate: Emulate) -> Slack:
    return Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, agent_view=True)


async def write(running: Running, emulate: Emulate, text: str, thread: str | None = None) -> str:
    """Post a direct message of Alice, and return its `ts`."""
    emulate.connect(slack_events_url="")
    ts = emulate.slack_post("alice", emulate.slack_dm("alice"), text, thread)
    assert await post(running, dm(emulate, text, ts=ts, thread_ts=thread)) == 200
    return ts


async def test_a_message_at_the_top_begins_a_thread_and_a_session(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        first = await write(running, emulate, "the word is walnut")
        assert await said(emulate, channel, 1, first) == ["heard"]
        second = await write(running, emulate, "which word?")
        assert await said(emulate, channel, 1, second) == ["heard"]
        await write(running, emulate, "and now?", first)
        assert await said(emulate, channel, 2, first) == ["heard", "heard"]
    assert ["walnut" in str(messages) for messages in running.told] == [True, False, True]


async def test_a_message_with_its_own_ts_as_thread_is_in_the_same_thread(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack) as running:
        ts = await write(running, emulate, "the word is walnut")
        assert await post(running, dm(emulate, "which word?", ts=events.ts(), thread_ts=ts)) == 200
        assert await post(running, dm(emulate, "the word is walnut", ts=ts, thread_ts=ts)) == 200  # delivered again
        await said(emulate, emulate.slack_dm("alice"), 2, ts)
        assert running.prompts == ["the word is walnut", "which word?"]


async def test_a_conversation_from_before_the_agent_view_is_kept(run: Run, emulate: Emulate) -> None:
    """Turn the agent view on. A thread keeps its history, and new threads do not read messages at the top."""
    channel, options = emulate.slack_dm("alice"), (emulate.bot_token, emulate.signing_secret, emulate.slack_url)
    async with run(Slack(*options)) as running:
        root = await write(running, emulate, "pears")
        await said(emulate, channel, 1)
        await write(running, emulate, "the word is walnut", root)
        await said(emulate, channel, 1, root)
    async with run(Slack(*options, agent_view=True)) as running:
        await write(running, emulate, "which word?", root)
        await said(emulate, channel, 2, root)
        begun = await write(running, emulate, "and which fruit?")
        await said(emulate, channel, 1, begun)
    assert ["walnut" in str(messages) for messages in running.told] == [True, False]
    assert "pears" not in str(running.told[1])


def test_an_edit_belongs_to_the_thread_of_its_message() -> None:
    written = events.direct_message("hello")
    edit, deletion = events.message_changed(written, "hello!"), events.message_deleted(written)
    places = {
        parse.conversation_of("slack", parse.in_own_thread(body))
        for body in (written, changes.as_written(edit), changes.as_it_was(deletion))
    }
    assert [place.id for place in places] == [f"D0ALICE01/{written['event']['ts']}"]


def test_a_message_in_a_channel_keeps_its_thread() -> None:
    for body in (events.message("hello"), events.message("hello", thread_ts="1.5"), events.member_joined_channel()):
        assert parse.in_own_thread(body) is body


async def test_a_thread_gets_a_title_from_its_first_message_once(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        root = await write(running, emulate, "what  is\n<https://a.test|due> &amp; new?")
        await said(emulate, channel, 1, root)
        await write(running, emulate, "and tomorrow?", root)
        await said(emulate, channel, 2, root)
        other = await write(running, emulate, "something else")
        await wait_until_async(lambda: len(emulate.slack.calls(SET_TITLE)) == 2, what="two titles")
        titles = [call.params for call in emulate.slack.calls(SET_TITLE)]
    assert [(each["channel_id"], each["thread_ts"], each["title"]) for each in titles] == [
        (channel, root, "what is [due](https://a.test) & new?"),
        (channel, other, "something else"),
    ]


async def test_a_reply_to_a_message_of_the_bot_is_not_a_title(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        asked = emulate.slack_call("chat.postMessage", channel=channel, text="May I?")["ts"]
        await write(running, emulate, "not yet", asked)
        await said(emulate, channel, 2, asked)
        await write(running, emulate, "something else")
        await wait_until_async(lambda: emulate.slack.calls(SET_TITLE), what="a title")
        assert [call.params["title"] for call in emulate.slack.calls(SET_TITLE)] == ["something else"]


async def test_a_thread_without_the_agent_view_gets_a_title_and_the_top_gets_none(run: Run, emulate: Emulate) -> None:
    slack = Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)
    async with run(slack) as running:
        root = await write(running, emulate, "at the top")
        await write(running, emulate, "in a thread", root)
        await wait_until_async(lambda: emulate.slack.calls(SET_TITLE), what="a title")
        assert [call.params["title"] for call in emulate.slack.calls(SET_TITLE)] == ["in a thread"]


async def test_titles_are_not_tried_again_for_an_app_that_is_no_agent(run: Run, slack: Slack, emulate: Emulate) -> None:
    emulate.slack.fail(SET_TITLE, 200, times=9, body={"ok": False, "error": "missing_scope"})
    async with run(slack) as running:
        for count in (1, 2, 3):
            root = await write(running, emulate, "hello")
            await said(emulate, emulate.slack_dm("alice"), 1, root)
            await wait_until_async(lambda: emulate.slack.calls(SET_TITLE), what="the refusal")
            assert len(running.prompts) == count
        assert len(emulate.slack.calls(SET_TITLE)) == 1


def opened(emulate: Emulate, tab: str, **fields: Any) -> dict[str, Any]:
    event = {"type": "app_home_opened", "user": seed.ALICE.slack_id, "channel": emulate.slack_dm("alice"), "tab": tab}
    return events.envelope({**event, "event_ts": events.ts(), **fields})


async def test_a_person_who_opens_the_conversation_sees_the_agents_prompts(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    routed = Agent(model="test", prompts=PROMPTS)
    async with run(slack, routes=[Route(routed, workspace=seed.SLACK_TEAM_ID)]) as running:
        assert await post(running, opened(emulate, "home")) == 200
        assert await post(running, opened(emulate, "messages")) == 200
        await wait_until_async(lambda: emulate.slack.calls(SUGGEST), what="the prompts")
        (call,) = emulate.slack.calls(SUGGEST)
    assert call.params["channel_id"] == emulate.slack_dm("alice")
    assert call.params["prompts"] == [{"title": prompt, "message": prompt} for prompt in PROMPTS[:4]]
    assert "thread_ts" not in call.params
    assert running.inbox() == []


async def test_an_agent_without_prompts_suggests_none(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        assert await post(running, opened(emulate, "messages")) == 200
        root = await write(running, emulate, "hello")
        await said(emulate, emulate.slack_dm("alice"), 1, root)
        assert emulate.slack.calls(SUGGEST) == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        (" \n", ""),
        ("short", "short"),
        ("word " * 40, f"{'word ' * 16}".strip() + "…"),
        ("x" * 99, "x" * 80 + "…"),
    ],
)
def test_a_title_is_one_line_that_ends_with_a_word(text: str, title: str) -> None:
    assert title_of(text) == title
    assert len(title_of(text)) <= LONGEST_TITLE + 1
