"""Thumbs in Telegram: https://core.telegram.org/bots/api#messagereactionupdated"""

import sqlite3
from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from support.channels.running import Run, Running
from support.channels.telegram import ALICE, GROUP, bot, post, said

from gateway import Conversation, File
from interfaces.telegram import Telegram

__all__ = ["bot"]


def ratings(running: Running) -> list[tuple[Any, ...]]:
    with sqlite3.connect(running.directory / "understudy.db") as database:
        return database.execute("SELECT user_id, conversation, rating FROM feedback").fetchall()


async def test_a_thumb_is_a_rating_until_it_is_taken_back(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        await running.delivered()
        (answer,) = telegram.messages(ALICE)
        person = str(ALICE)
        for old, new, expected in [
            ("", "👍", [(person, person, "up")]),
            ("👍", "👎", [(person, person, "down")]),
            ("👎", "👎🔥", [(person, person, "down")]),
            ("👎🔥", "👎👍", [(person, person, "up")]),
            ("👍", "🔥", []),
            ("🔥", "", []),
        ]:
            assert await post(running, telegram, updates.reaction(answer, new, old)) == 200
            assert ratings(running) == expected


async def test_in_a_topic_everybody_rates_except_anonymous_senders(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    forum = updates.FORUM["id"]
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"@{updates.BOT_USERNAME} hello", 7))
        await said(telegram, forum)
        await running.delivered()
        (answer,) = telegram.messages(forum)
        await post(running, telegram, updates.reaction(answer, "👍", actor_chat=updates.FORUM))
        assert ratings(running) == []
        await post(running, telegram, updates.reaction(answer, "👍", person=seed.BOB))
        elsewhere = {**answer, "chat": updates.GROUP}
        await post(running, telegram, updates.reaction(elsewhere, "👎", person=seed.CAROL))
        assert ratings(running) == [(str(seed.BOB.telegram_id), f"{forum}/7", "up")]


async def test_a_reaction_to_a_message_of_another_person_is_not_a_rating(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        written = updates.group_mention("hello")
        await post(running, telegram, written)
        await said(telegram, GROUP)
        await running.delivered()
        assert await post(running, telegram, updates.reaction(written["message"], "👍")) == 200
        assert ratings(running) == []


async def test_files_and_albums_are_rated(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        await send_files(running, 2)
        await said(telegram, ALICE, 3)
        await send_files(running, 1)
        await said(telegram, ALICE, 4)
        await running.delivered()
        for message, count in zip([telegram.messages(ALICE)[1], telegram.messages(ALICE)[3]], (1, 2), strict=True):
            await post(running, telegram, updates.reaction(message, "👍"))
            assert len(ratings(running)) == count


async def send_files(running: Running, count: int) -> None:
    conversation = Conversation("telegram", str(updates.BOT_ID), str(ALICE), shared=False)
    files = [File(b"text", name=f"{number}.txt") for number in range(count)]
    await running.gateway.send(conversation, "", files=files)


@pytest.mark.parametrize("broken", [{"old_reaction": None}, {"new_reaction": [{"emoji": "👍"}]}, {"message_id": "1"}])
async def test_a_malformed_reaction_is_refused(
    run: Run, bot: Telegram, telegram: TelegramServer, broken: dict[str, Any]
) -> None:
    message = {"chat": updates.private_chat(seed.ALICE), "message_id": 1}
    async with run(bot) as running:
        assert await post(running, telegram, updates.reaction(message, "👍", **broken)) == 400
