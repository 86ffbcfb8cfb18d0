"""The stand-in for the Bot API refuses buttons, and answers to presses, that Telegram refuses."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest

from peers.seed import ALICE
from peers.telegram import updates
from peers.telegram.server import TelegramServer


@pytest.fixture
async def bot(telegram: TelegramServer) -> AsyncIterator[Bot]:
    telegram.api.took(updates.private_message("hello"))
    async with Bot(telegram.token, base_url=telegram.base_url, base_file_url=telegram.base_file_url) as bot:
        yield bot


@pytest.mark.parametrize(
    "buttons",
    [
        [InlineKeyboardButton("Yes", callback_data="ä" * 33)],
        [InlineKeyboardButton(" ", callback_data="x")],
        [InlineKeyboardButton("Yes", callback_data="x", style="plain")],
        [InlineKeyboardButton("Yes", callback_data="x")] * 101,
    ],
    ids=["65 bytes", "no label", "style", "101"],
)
async def test_telegram_refuses_buttons_that_it_does_not_document(bot: Bot, buttons: Any) -> None:
    with pytest.raises(BadRequest):
        await bot.send_message(ALICE.telegram_id, "sure?", reply_markup=InlineKeyboardMarkup.from_column(buttons))


async def test_telegram_takes_one_short_answer_to_a_press_for_some_seconds(telegram: TelegramServer, bot: Bot) -> None:
    asked = await bot.send_message(ALICE.telegram_id, "sure?")
    first, second = (updates.callback_query("x", asked.to_dict()) for _ in range(2))
    for press in (first, second):
        telegram.api.took(press)
    with pytest.raises(BadRequest, match=r"(?i)message_too_long"):
        await bot.answer_callback_query(first["callback_query"]["id"], "x" * 201)
    assert await bot.answer_callback_query(first["callback_query"]["id"], "x" * 200)
    telegram.api.expire_queries()
    for press in (first, second):
        with pytest.raises(BadRequest, match="too old"):
            await bot.answer_callback_query(press["callback_query"]["id"])
