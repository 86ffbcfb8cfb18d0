"""The stand-in for the Bot API answers python-telegram-bot as Telegram does."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from telegram import (
    Bot,
    BotCommand,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MessageEntity,
    ReplyParameters,
    Update,
)
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter

from peers.emulate.control import Json
from peers.seed import ALICE, BOB
from peers.serving import Receiver
from peers.telegram import html as telegram_html
from peers.telegram import updates
from peers.telegram.server import TelegramServer


@pytest.fixture
async def bot(telegram: TelegramServer) -> AsyncIterator[Bot]:
    async with Bot(telegram.token, base_url=telegram.base_url, base_file_url=telegram.base_file_url) as bot:
        yield bot


@pytest.fixture
async def chat(telegram: TelegramServer, receiver: Receiver, bot: Bot) -> int:
    """The id of a private chat with Alice, who has written to the bot."""
    await bot.set_webhook(f"{receiver.url}/hook", secret_token="s3cret")
    telegram.deliver(updates.private_message("hello"))
    return ALICE.telegram_id


async def test_a_message_is_sent_edited_and_deleted(telegram: TelegramServer, bot: Bot, chat: int) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="yes")]])
    html = '<b>hi</b> &amp; <a href="https://example.com/?a=1&amp;b=2">you</a> 🎭'
    sent = await bot.send_message(chat, html, parse_mode="HTML", reply_markup=keyboard)
    assert sent.text == "hi & you 🎭"
    assert sent.parse_entities() == {sent.entities[0]: "hi", sent.entities[1]: "you"}
    assert sent.entities[1].url == "https://example.com/?a=1&b=2"
    assert sent.reply_markup == keyboard
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text(html, chat, sent.message_id, parse_mode="HTML", reply_markup=keyboard)
    await bot.edit_message_text("bye", chat, sent.message_id)
    quoted = ReplyParameters(sent.message_id)
    answer = await bot.send_message(chat, "and again", reply_parameters=quoted, reply_markup=ForceReply())
    assert answer.message_id > sent.message_id
    assert answer.reply_to_message is not None
    assert telegram.said(chat) == ["bye", "and again"]
    await bot.delete_message(chat, answer.message_id)
    assert telegram.said(chat) == ["bye"]
    assert telegram.called("sendMessage")[0]["reply_markup"] == keyboard.to_dict()


async def test_webhook_info_chat_actions_drafts_commands_files_and_button_presses_work(
    telegram: TelegramServer, bot: Bot, chat: int
) -> None:
    assert (bot.id, bot.username) == (updates.BOT_ID, updates.BOT_USERNAME)
    assert (await bot.get_webhook_info()).url.endswith("/hook")
    assert await bot.send_chat_action(chat, "typing")
    assert await bot.send_message_draft(chat, 7, "once upon")
    assert telegram.api.drafts[chat, 7] == "once upon"
    assert await bot.set_my_commands([BotCommand("help", "What I can do")])
    assert [command.command for command in await bot.get_my_commands()] == ["help"]
    telegram.add_file("photo-file", b"pixels")
    assert await (await bot.get_file("photo-file")).download_as_bytearray() == b"pixels"
    asked = await bot.send_message(chat, "sure?")
    pressed = updates.callback_query("yes", asked.to_dict())
    telegram.deliver(pressed)
    assert await bot.answer_callback_query(pressed["callback_query"]["id"])
    with pytest.raises(BadRequest, match="Query is too old"):
        await bot.answer_callback_query("unknown")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<b>open", "Can't find end tag corresponding to start tag"),
        ("<b><i>crossed</b></i>", 'Unmatched end tag at byte offset 13, expected "</i>", found "</b>"'),
        ("<p>no such tag</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
        ("</b>", "Unexpected end tag at byte offset 0"),
        ("<b> </b>", "message text is empty"),
        ("é" * 4097, "message is too long"),
        ("🎭" * 2049, "message is too long"),
    ],
)
async def test_a_text_that_does_not_parse_is_empty_or_too_long_is_refused(
    bot: Bot, chat: int, text: str, problem: str
) -> None:
    with pytest.raises(BadRequest) as error:
        await bot.send_message(chat, text, parse_mode="HTML")
    assert problem.lower() in str(error.value).lower()


async def test_tags_do_not_count_towards_the_length_limit(bot: Bot, chat: int) -> None:
    sent = await bot.send_message(chat, f"<b>{'x' * 4096}</b>", parse_mode="HTML")
    assert len(sent.text or "") == telegram_html.utf16_length(sent.text or "") == 4096


async def test_the_bot_cannot_write_to_people_who_never_wrote_or_have_blocked_it(
    telegram: TelegramServer, bot: Bot, chat: int
) -> None:
    with pytest.raises(Forbidden, match="can't initiate conversation"):
        await bot.send_message(BOB.telegram_id, "hi")
    telegram.deliver(updates.my_chat_member(updates.private_chat(ALICE), "member", "kicked"))
    with pytest.raises(Forbidden, match="blocked"):
        await bot.send_message(chat, "hi")
    with pytest.raises(InvalidToken):
        await Bot("1:wrong", base_url=telegram.base_url).get_me()


async def test_scripted_failures_come_in_order_before_or_after_the_call_is_carried_out(
    telegram: TelegramServer, bot: Bot, chat: int
) -> None:
    telegram.fail("sendMessage", retry_after=3)
    telegram.fail("sendMessage", 500)
    telegram.fail("sendMessage", 502, after=True)
    with pytest.raises(RetryAfter) as error:
        await bot.send_message(chat, "one")
    assert "3" in str(error.value)
    for text in ("two", "three"):
        with pytest.raises(NetworkError):
            await bot.send_message(chat, text)
    await bot.send_message(chat, "four")
    assert telegram.said(chat) == ["three", "four"]
    assert [call.status for call in telegram.calls if call.method == "sendMessage"] == [429, 500, 502, 200]


async def test_an_update_has_the_given_secret_token_or_none(receiver: Receiver, chat: int) -> None:
    updates.post(f"{receiver.url}/hook", updates.private_message("forged"), "wrong")
    updates.post(f"{receiver.url}/hook", updates.private_message("bare"), None)
    tokens = [each.headers.get("x-telegram-bot-api-secret-token") for each in receiver.requests]
    assert tokens == ["s3cret", "wrong", None]


def all_updates() -> dict[str, Json]:
    said = updates.group_message("🎭 @peer_bot do /this@peer_bot")
    return {
        "anonymous_admin": updates.anonymous_admin("as the group"),
        "as_channel": updates.as_channel("as a channel"),
        "callback_query": updates.callback_query("yes", said["message"]),
        "channel_post": updates.channel_post("news"),
        "command": updates.command("start", "now", chat=updates.GROUP, at_bot=True),
        "edited": updates.edited(said, "@peer_bot better"),
        "group_mention": updates.group_mention("hello"),
        "group_message": said,
        "my_chat_member": updates.my_chat_member(updates.GROUP, "left", "member"),
        "new_chat_members": updates.new_chat_members(BOB),
        "photo": updates.photo("@peer_bot what is this", BOB, updates.GROUP),
        "private_message": updates.private_message("hello"),
        "reply": updates.reply("yes", said["message"]),
        "text_mention": updates.text_mention("hello"),
        "topic_message": updates.topic_message("in the topic"),
    }


@pytest.mark.parametrize("name", all_updates())
def test_python_telegram_bot_knows_every_field_of_every_update(name: str) -> None:
    given = all_updates()[name]
    update = Update.de_json(json.loads(json.dumps(given)), None)
    assert update is not None
    unread = [part.api_kwargs for part in (update, update.effective_message) if part and part.api_kwargs]
    assert unread == []
    assert set(update.to_dict()) == set(given)


def test_offsets_of_entities_are_in_utf16_units() -> None:
    update = Update.de_json(updates.group_message("🎭 @peer_bot do /this@peer_bot now"), None)
    assert update is not None
    assert update.message is not None
    found = {entity.type: text for entity, text in update.message.parse_entities().items()}
    assert found == {MessageEntity.MENTION: "@peer_bot", MessageEntity.BOT_COMMAND: "/this@peer_bot"}
    assert update.message.entities[0].offset == 3


def test_an_unknown_method_is_not_found(telegram: TelegramServer) -> None:
    answer = httpx.post(f"{telegram.base_url}{telegram.token}/noSuchMethod")
    assert answer.json() == {"ok": False, "error_code": 404, "description": "Not Found"}
