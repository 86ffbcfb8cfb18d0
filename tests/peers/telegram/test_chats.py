"""The stand-in for the Bot API keeps commands by scope, and refuses calls about topics and groups that are gone."""

from collections.abc import AsyncIterator

import pytest
from telegram import Bot, BotCommand, BotCommandScopeAllGroupChats, BotCommandScopeAllPrivateChats
from telegram.error import BadRequest, ChatMigrated

from peers.telegram import updates
from peers.telegram.server import TelegramServer

NEW_ID = -1002000000001


@pytest.fixture
async def bot(telegram: TelegramServer) -> AsyncIterator[Bot]:
    async with Bot(telegram.token, base_url=telegram.base_url, base_file_url=telegram.base_file_url) as bot:
        yield bot


async def test_commands_belong_to_one_scope_and_language(bot: Bot) -> None:
    private, groups = BotCommandScopeAllPrivateChats(), BotCommandScopeAllGroupChats()
    await bot.set_my_commands([BotCommand("help", "Help")], private)
    await bot.set_my_commands([BotCommand("hilfe", "Hilfe")], private, "de")
    assert [each.command for each in await bot.get_my_commands(private)] == ["help"]
    assert [each.command for each in await bot.get_my_commands(private, "de")] == ["hilfe"]
    assert list(await bot.get_my_commands(groups)) == list(await bot.get_my_commands()) == []
    await bot.delete_my_commands(private)
    assert list(await bot.get_my_commands(private)) == []


async def test_too_many_commands_and_too_long_descriptions_are_refused(bot: Bot) -> None:
    with pytest.raises(BadRequest):
        await bot.set_my_commands([BotCommand(f"c{number}", "x") for number in range(101)])
    with pytest.raises(BadRequest):
        await bot.set_my_short_description("x" * 121)
    await bot.set_my_description("x" * 512)
    assert (await bot.get_my_description()).description == "x" * 512
    assert (await bot.get_my_short_description()).short_description == ""


@pytest.mark.parametrize(("what", "problem"), [("delete", "message thread not found"), ("close", "topic_closed")])
async def test_nothing_is_sent_to_a_topic_that_is_gone(
    telegram: TelegramServer, bot: Bot, what: str, problem: str
) -> None:
    telegram.api.took(update := updates.topic_message("hello", 7))
    chat = update["message"]["chat"]["id"]
    await bot.send_message(chat, "there", message_thread_id=7)
    (telegram.api.delete_topic if what == "delete" else telegram.api.close_topic)(chat, 7)
    with pytest.raises(BadRequest) as text:
        await bot.send_message(chat, "gone", message_thread_id=7)
    with pytest.raises(BadRequest) as file:
        await bot.send_document(chat, b"content", message_thread_id=7)
    assert problem in str(text.value).lower()
    assert problem in str(file.value).lower()


async def test_a_group_that_became_a_supergroup_refuses_every_call_with_its_new_id(
    telegram: TelegramServer, bot: Bot
) -> None:
    group = updates.BASIC_GROUP
    telegram.api.took(updates.group_message("hello", chat=group))
    telegram.api.took(updates.migration(group, NEW_ID)[0])
    calls = [
        bot.send_message(group["id"], "hello"),
        bot.send_document(group["id"], b"content"),
        bot.send_chat_action(group["id"], "typing"),
        bot.edit_message_text("hello", group["id"], 1),
        bot.delete_message(group["id"], 1),
    ]
    for call in calls:
        with pytest.raises(ChatMigrated) as moved:
            await call
        assert moved.value.new_chat_id == NEW_ID
    assert (await bot.send_message(NEW_ID, "hello")).chat.type == "supergroup"
