"""Thumbs in Slack, as reactions and as buttons.

https://docs.slack.dev/reference/events/reaction_added
https://docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element
"""

import sqlite3
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from support.channels.running import Run, Running
from support.channels.slack import BOT, answer_address, dm, post, press, said

from interfaces.slack import Slack

ALICE, BOB = seed.ALICE.slack_id, seed.BOB.slack_id


def ratings(running: Running) -> list[tuple[Any, ...]]:
    with sqlite3.connect(running.directory / "understudy.db") as database:
        return database.execute("SELECT user_id, conversation, rating FROM feedback ORDER BY id").fetchall()


def answer(emulate: Emulate, channel: str, thread: str | None = None) -> str:
    """Return the `ts` of the bot's last message."""
    messages = emulate.slack_messages(channel, thread)
    return str([message["ts"] for message in messages if message.get("user") == seed.SLACK_BOT_USER_ID][-1])


async def test_a_reaction_is_a_rating_until_it_is_removed(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        await post(running, dm(emulate, "hello"))
        await said(emulate, channel, 1)
        await running.delivered()
        at = answer(emulate, channel)
        for name, added, expected in [
            ("+1::skin-tone-3", True, ["up"]),
            ("tada", True, ["up"]),
            ("thumbsdown", True, ["down"]),
            ("+1", False, ["down"]),
            ("-1", False, []),
        ]:
            assert await post(running, events.reaction(name, ALICE, channel, at, added=added)) == 200
            assert [row[2] for row in ratings(running)] == expected


async def test_in_a_thread_everybody_rates(run: Run, slack: Slack, emulate: Emulate) -> None:
    channel = seed.SLACK_CHANNEL_ID
    root = emulate.slack_post("alice", channel, f"{BOT} hello")
    async with run(slack) as running:
        await post(running, events.app_mention(f"{BOT} hello", channel=channel, ts=root))
        await said(emulate, channel, 1, root)
        await running.delivered()
        at = answer(emulate, channel, root)
        await post(running, events.reaction("-1", BOB, channel, at))
        await post(running, events.reaction("+1", BOB, "C0ANOTHER", at))
        stranger = {**events.reaction("+1", "U0STRANGE", channel, at), "is_ext_shared_channel": True}
        await post(running, stranger)
        await post(running, events.reaction("+1", BOB, channel, root))
        assert ratings(running) == [(BOB, f"{channel}/{root}", "down")]


@pytest.fixture
def with_buttons(emulate: Emulate) -> Slack:
    return Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, feedback_buttons=True)


def shown(emulate: Emulate, channel: str, thread: str | None = None) -> list[list[str]]:
    """Return the types of the blocks of each message of the bot."""
    messages = emulate.slack_messages(channel, thread)
    own = [message for message in messages if message.get("user") == seed.SLACK_BOT_USER_ID]
    return [[block["type"] for block in message.get("blocks") or ()] for message in own]


@pytest.mark.parametrize("place", ["direct", "thread"])
async def test_an_answer_ends_with_thumbs_and_a_press_of_one_rates_it(
    run: Run, with_buttons: Slack, emulate: Emulate, place: str
) -> None:
    if place == "direct":
        channel, root = emulate.slack_dm("alice"), None
        written = dm(emulate, "hello")
    else:
        channel = seed.SLACK_CHANNEL_ID
        root = emulate.slack_post("alice", channel, f"{BOT} hello")
        written = events.app_mention(f"{BOT} hello", channel=channel, ts=root)
    async with run(with_buttons) as running:
        running.answers.append("long " * 1000)
        await post(running, written)
        await said(emulate, channel, 2, root)
        await running.delivered()
        first, last = shown(emulate, channel, root)
        assert first == []
        assert last[0] == "section"
        assert last[-1] == "context_actions"
        blocks = emulate.slack_messages(channel, root)[-1]["blocks"]
        positive, negative = (blocks[-1]["elements"][0][name] for name in ("positive_button", "negative_button"))
        for button, rating in ((positive, "up"), (negative, "down")):
            thumb = interactions.thumb(blocks[-1]["elements"][0]["action_id"], button["value"])
            pressed = {"channel": channel, "ts": answer(emulate, channel, root), "thread_ts": root}
            assert await press(running, interactions.block_actions(thumb, **pressed)) == 200
            assert [(row[0], row[2]) for row in ratings(running)] == [(ALICE, rating)]


async def test_commands_and_apps_without_the_setting_have_no_thumbs(
    run: Run, slack: Slack, with_buttons: Slack, emulate: Emulate
) -> None:
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        await post(running, dm(emulate, "hello"))
        await said(emulate, channel, 1)
        await running.delivered()
    async with run(with_buttons) as running:
        await post(running, dm(emulate, "accounts"))
        await said(emulate, channel, 2)
        await running.delivered()
    assert shown(emulate, channel) == [[], []]


async def test_an_answer_whose_thumbs_slack_refuses_is_sent_without_them(
    run: Run, with_buttons: Slack, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    channel = emulate.slack_dm("alice")
    async with run(with_buttons) as running:
        emulate.slack.fail("/api/chat.postMessage", 200, body={"ok": False, "error": "invalid_blocks"})
        await post(running, dm(emulate, "hello"))
        assert await said(emulate, channel, 1) == ["heard"]
    assert shown(emulate, channel) == [[]]
    assert "Slack refuses the thumbs of an answer" in caplog.text


async def test_a_person_who_rates_a_deleted_answer_is_told(run: Run, with_buttons: Slack, emulate: Emulate) -> None:
    channel = emulate.slack_dm("alice")
    async with run(with_buttons) as running:
        address = answer_address(emulate, channel)
        thumb = interactions.thumb("feedback", "up")
        payload = interactions.block_actions(thumb, channel=channel, ts="1.1", response_url=address)
        assert await press(running, payload) == 200
        assert [each["text"] for each in emulate.slack_ephemerals("alice")] == ["This answer cannot be rated any more."]
        assert await press(running, interactions.block_actions(interactions.thumb("feedback", "best"))) == 400
