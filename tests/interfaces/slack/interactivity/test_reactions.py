"""Thumbs in Slack: https://docs.slack.dev/reference/events/reaction_added"""

import sqlite3
from typing import Any

from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from support.channels.running import Run, Running
from support.channels.slack import BOT, dm, post, said

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
