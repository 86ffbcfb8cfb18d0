"""An operator's handlers of python-telegram-bot get the updates that start no turn."""

import asyncio
from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.presses import CARD_ID, Pressed
from support.channels.running import Run
from support.channels.telegram import ALICE, GROUP, post, said
from telegram import Update
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    ChatMemberHandler,
    ContextTypes,
    MessageHandler,
    TypeHandler,
    filters,
)

from gateway import SettingError
from interfaces.telegram import Telegram
from interfaces.telegram.receiving.handlers import AnyApplication

Context = ContextTypes.DEFAULT_TYPE


@pytest.fixture
def application(telegram: TelegramServer) -> AnyApplication:
    return Application.builder().token(telegram.token).base_url(telegram.base_url).updater(None).build()


@pytest.fixture
def bot(telegram: TelegramServer, application: AnyApplication) -> Telegram:
    wanted = ("callback_query", "my_chat_member")
    return Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url, application=application, updates=wanted)


async def test_the_webhook_asks_for_the_updates_of_the_handlers(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, base_url="https://bot.example.com"):
        call = telegram.called("setWebhook")[0]
    asked_for = call["allowed_updates"]
    assert {"message", "edited_message", "callback_query", "my_chat_member"} <= set(asked_for)
    assert len(asked_for) == len(set(asked_for))


def test_a_kind_of_update_that_telegram_does_not_send_is_named(telegram: TelegramServer) -> None:
    with pytest.raises(SettingError, match="names callback_querys, which Telegram does not send"):
        Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url, updates=["callback_querys"])


def test_an_application_of_another_bot_is_refused_without_printing_a_token(telegram: TelegramServer) -> None:
    other = Application.builder().token("2:another-token").updater(None).build()
    with pytest.raises(SettingError, match="another token than TELEGRAM_BOT_TOKEN") as raised:
        Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url, application=other)
    assert "another-token" not in str(raised.value)


async def test_a_press_of_an_operators_button_reaches_its_handler(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer
) -> None:
    async def pressed(update: Update, context: Context) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer(f"you chose {update.callback_query.data}")

    application.add_handler(CallbackQueryHandler(pressed))
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        press = updates.callback_query("tea", telegram.messages(ALICE)[0])
        assert await post(running, telegram, press) == 200
        await wait_until_async(lambda: telegram.called("answerCallbackQuery"), what="the answer to the press")
        assert telegram.called("answerCallbackQuery")[0]["text"] == "you chose tea"
        assert len(running.inbox()) == 1


async def test_a_press_of_a_question_does_not_reach_the_handlers(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer
) -> None:
    reached = []

    async def pressed(update: Update, context: Context) -> None:
        reached.append(update)

    application.add_handler(CallbackQueryHandler(pressed))
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        gateway = await Pressed.between(bot)
        press = updates.callback_query(f"q:{CARD_ID}:0", telegram.messages(ALICE)[0])
        assert await post(running, telegram, press) == 200
        assert len(gateway.presses) == 1
        assert telegram.called("answerCallbackQuery")[0]["text"] == "It is taken."
    assert reached == []


@pytest.mark.long
async def test_an_update_that_starts_a_turn_does_not_reach_the_handlers(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer
) -> None:
    heard: list[str | None] = []

    async def note(update: Update, context: Context) -> None:
        assert update.effective_message is not None
        heard.append(update.effective_message.text or update.effective_message.caption)

    application.add_handler(MessageHandler(filters.ALL, note))
    async with run(bot) as running:
        hello = updates.private_message("hello")
        for update in (hello, hello, updates.edited(hello, "hello again"), updates.group_mention("you")):
            assert await post(running, telegram, update) == 200
        for update in updates.album("@peer_bot look", None, chat=updates.GROUP):
            assert await post(running, telegram, update) == 200
        between_others = updates.group_message("to others")
        assert await post(running, telegram, between_others) == 200
        assert await post(running, telegram, updates.edited(between_others, "to Bob")) == 200
        await wait_until_async(lambda: len(running.prompts) >= 3 and len(heard) >= 2, what="turns and the handler")
    assert heard == ["to others", "to Bob"]


async def test_a_forged_update_reaches_no_handler(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer
) -> None:
    async def fail(update: Update, context: Context) -> None:
        pytest.fail("it was handed on")

    application.add_handler(TypeHandler(Update, fail))
    async with run(bot) as running:
        assert await post(running, telegram, updates.group_message("to others"), "forged") == 401


async def test_an_error_of_a_handler_is_logged_and_the_next_update_is_handled(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    chats: list[int] = []

    async def note(update: Update, context: Context) -> None:
        assert update.effective_chat is not None
        if not chats:
            chats.append(0)
            raise ValueError("no more tea")
        chats.append(update.effective_chat.id)

    application.add_handler(ChatMemberHandler(note))
    async with run(bot) as running:
        for _ in range(2):
            joined = updates.my_chat_member(updates.GROUP, "left", "member")
            assert await post(running, telegram, joined) == 200
        await wait_until_async(lambda: chats == [0, GROUP], what="both are handled")
    assert "no more tea" in caplog.text


async def test_a_handler_that_hangs_delays_neither_the_webhook_nor_the_shutdown(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer
) -> None:
    began = asyncio.Event()

    async def hang(update: Update, context: Context) -> None:
        began.set()
        await asyncio.Event().wait()

    application.add_handler(TypeHandler(Update, hang))
    async with asyncio.timeout(30):
        async with run(bot) as running:
            for _ in range(2):  # the second one waits for the first
                assert await post(running, telegram, updates.group_message("to others")) == 200
            await began.wait()
        assert not application.running


async def test_handlers_start_once_telegram_can_be_reached_again(
    run: Run, bot: Telegram, application: AnyApplication, telegram: TelegramServer
) -> None:
    heard: list[Any] = []

    async def note(update: Update, context: Context) -> None:
        heard.append(update.update_id)

    application.add_handler(TypeHandler(Update, note))
    telegram.fail("getMe", 502, times=2)  # for the channel, and for the application
    async with run(bot) as running:
        update = updates.group_message("to others", seed.BOB)
        assert await post(running, telegram, update) == 200
        await wait_until_async(lambda: heard == [update["update_id"]], what="the handler")
