"""A group that becomes a supergroup is answered there, whatever the bot is doing, and keeps its history."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer, is_preview
from peers.wait import wait_until_async
from support.agents.writer import Writer
from support.channels.running import Run, Running
from support.channels.telegram import NEW_ID, post, said
from support.files import PDF

from gateway import Conversation, File, Identity
from gateway.channels import Choice, QuestionCard
from interfaces.telegram import Telegram

OLD = updates.BASIC_GROUP
NEW = {**OLD, "id": NEW_ID, "type": "supergroup"}
OLD_GROUP = Conversation("telegram", str(updates.BOT["id"]), str(OLD["id"]), shared=True)
NEW_GROUP = replace(OLD_GROUP, id=str(NEW_ID))


def becomes_supergroup(telegram: TelegramServer) -> None:
    """Move the group without an update about it, which may come later or get lost."""
    telegram.api.took(updates.migration(OLD, NEW_ID)[0])


async def ask(running: Running, telegram: TelegramServer, text: str, chat: dict[str, Any], count: int = 1) -> None:
    """Mention the bot in a group, and wait until it has answered."""
    await post(running, telegram, updates.group_mention(text, chat=chat))
    await said(telegram, chat["id"], count)
    await running.delivered()


async def test_a_message_in_the_supergroup_before_the_move_is_known_joins_the_history(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await ask(running, telegram, "the word is walnut", OLD)
        becomes_supergroup(telegram)
        await ask(running, telegram, "the number is eleven", NEW)
        for update in updates.migration(OLD, NEW_ID):
            assert await post(running, telegram, update) == 200
        await ask(running, telegram, "which word and number?", NEW, 2)
        told = str(running.told[-1])
        assert told.index("walnut") < told.index("eleven") < told.index("which word")


async def test_a_late_message_of_the_group_is_answered_in_the_supergroup(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await ask(running, telegram, "the word is walnut", OLD)
        late = updates.group_mention("which word?", chat=OLD)
        for update in updates.migration(OLD, NEW_ID):
            await post(running, telegram, update)
        await post(running, telegram, late)
        assert await said(telegram, NEW_ID) == ["heard"]
        assert "walnut" in str(running.told[-1])
        assert telegram.called("sendMessage")[-1].get("reply_parameters") is None


SENDS: dict[str, Callable[[Telegram, Running], Any]] = {
    "a text": lambda bot, running: running.gateway.send(OLD_GROUP, "hello"),
    "a file": lambda bot, running: running.gateway.send(OLD_GROUP, "hello", files=[File(PDF, name="bill.pdf")]),
    "a question": lambda bot, running: bot.presenter.send_question(
        OLD_GROUP, QuestionCard("id", "hello", [Choice("Yes")], datetime.now(UTC) + timedelta(days=1)), "", key="k"
    ),
    "a note": lambda bot, running: bot.presenter.send_private_note(
        Identity("telegram", OLD_GROUP.tenant, "1001"), OLD_GROUP, "", reached=True
    ),
}


@pytest.mark.parametrize("what", SENDS)
async def test_what_the_group_refuses_is_sent_once_to_the_supergroup_and_the_conversation_moves(
    run: Run, bot: Telegram, telegram: TelegramServer, what: str
) -> None:
    async with run(bot) as running:
        await ask(running, telegram, "the word is walnut", OLD)
        becomes_supergroup(telegram)
        await SENDS[what](bot, running)
        assert len(await said(telegram, NEW_ID)) == 1
        assert [call.status for call in telegram.calls if call.params.get("chat_id") == NEW_ID] == [200]
        await post(running, telegram, updates.group_mention("which word?", chat=NEW))
        await wait_until_async(lambda: "walnut" in str(running.told[-1]), what="the history of the group")
        await said(telegram, NEW_ID, 2)


@pytest.mark.long
async def test_a_preview_and_its_edits_are_sent_to_the_supergroup(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    writer = Writer()
    async with run(bot, model=writer.model) as running:
        becomes_supergroup(telegram)
        await post(running, telegram, updates.group_mention("hello", chat=OLD))  # written before, and delivered late
        writer.write("Half", " of ")
        await wait_until_async(lambda: telegram.messages(NEW_ID), what="the preview")
        assert is_preview(telegram.messages(NEW_ID)[0])
        writer.write("it")
        writer.end()
        assert await said(telegram, NEW_ID) == ["Half of it"]
        await running.delivered()
        assert len(telegram.messages(NEW_ID)) == 1


@pytest.mark.long
async def test_a_preview_in_the_group_is_never_taken_for_the_message_of_that_number_in_the_supergroup(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    """A supergroup counts its messages from one, so that another message of the bot has the number of the preview."""
    writer = Writer()
    async with run(bot, model=writer.model) as running:
        await post(running, telegram, updates.group_mention("hello", chat=OLD))
        writer.write("Half", " of ")
        await wait_until_async(lambda: telegram.messages(OLD["id"]), what="the preview")
        (preview,) = telegram.messages(OLD["id"])
        becomes_supergroup(telegram)
        other = {**preview, "chat": NEW, "text": "another", "reply_markup": {}}
        telegram.api.messages[NEW_ID, preview["message_id"]] = other
        writer.write("it")
        writer.end()
        assert sorted(await said(telegram, NEW_ID, 2)) == ["Half of it", "another"]
        answer = telegram.called("sendMessage")[-1]
        assert answer.get("reply_parameters") is None


async def test_an_answer_that_the_group_got_can_be_rated_there_only(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await ask(running, telegram, "hello", OLD)
        (answer,) = telegram.messages(OLD["id"])
        rated = "SELECT count(*) FROM feedback"
        await post(running, telegram, updates.reaction(answer, "👍"))
        assert running.rows(rated) == [(1,)]
        for update in updates.migration(OLD, NEW_ID):
            await post(running, telegram, update)
        await post(running, telegram, updates.reaction({**answer, "chat": NEW}, "👎"))
        assert running.rows("SELECT rating FROM feedback") == [("up",)]
