"""The stand-in for the Bot API keeps updates until the bot takes them, by getUpdates or by its webhook."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import PlainTextResponse
from telegram import Bot
from telegram.error import Conflict

from peers.serving import Received, Receiver
from peers.telegram import updates
from peers.telegram.pending import KEPT
from peers.telegram.server import TelegramServer
from peers.wait import wait_until


@pytest.fixture
async def bot(telegram: TelegramServer) -> AsyncIterator[Bot]:
    async with Bot(telegram.token, base_url=telegram.base_url) as bot:
        yield bot


def send(telegram: TelegramServer, *texts: str) -> list[int]:
    """Send messages to the bot, and return the ids of their updates."""
    sent = [updates.private_message(text) for text in texts]
    for update in sent:
        telegram.send(update)
    return [update["update_id"] for update in sent]


async def test_an_update_is_returned_until_a_higher_offset_confirms_it(telegram: TelegramServer, bot: Bot) -> None:
    first, second, third = send(telegram, "one", "two", "three")
    assert [each.update_id for each in await bot.get_updates(limit=2)] == [first, second]
    assert [each.update_id for each in await bot.get_updates(second)] == [second, third]
    assert [each.update_id for each in await bot.get_updates(-1)] == [third]
    assert (await bot.get_webhook_info()).pending_update_count == 1
    assert await bot.get_updates(third + 1) == ()
    assert await bot.get_updates() == ()


@pytest.mark.long
async def test_a_call_waits_for_the_next_update(telegram: TelegramServer, bot: Bot) -> None:
    assert await bot.get_updates(timeout=1) == ()
    waiting = asyncio.create_task(bot.get_updates(timeout=20))
    (number,) = send(telegram, "one")
    assert [each.update_id for each in await waiting] == [number]


async def test_a_second_call_ends_the_first_and_so_does_a_webhook(
    telegram: TelegramServer, bot: Bot, receiver: Receiver
) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.to_thread(wait_until, lambda: telegram.api.pending.is_polled)
    async with Bot(telegram.token, base_url=telegram.base_url) as other:
        second = asyncio.create_task(other.get_updates(timeout=20))
        with pytest.raises(Conflict, match="terminated by other getUpdates"):
            await first
        await bot.set_webhook(f"{receiver.url}/hook")
        with pytest.raises(Conflict, match="terminated by setWebhook"):
            await second
        with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
            await other.get_updates()
    await bot.delete_webhook()
    assert await bot.get_updates() == ()


async def test_kinds_that_the_bot_did_not_ask_for_are_dropped(telegram: TelegramServer, bot: Bot) -> None:
    message = updates.private_message("one")
    reaction = updates.reaction(message["message"], "👍")
    for update in (message, reaction):
        telegram.send(update)
    assert [each.update_id for each in await bot.get_updates()] == [message["update_id"]]
    assert await bot.get_updates(message["update_id"] + 1, allowed_updates=["message_reaction"]) == ()
    later = updates.reaction(message["message"], "👎")
    for update in (updates.private_message("two"), later):
        telegram.send(update)
    assert [each.update_id for each in await bot.get_updates()] == [later["update_id"]]


async def test_an_update_is_kept_for_24_hours(telegram: TelegramServer, bot: Bot) -> None:
    send(telegram, "one")
    telegram.api.pending.pass_time(KEPT - 60)
    (second,) = send(telegram, "two")
    assert len(await bot.get_updates()) == 2
    telegram.api.pending.pass_time(120)
    assert [each.update_id for each in await bot.get_updates()] == [second]


async def test_updates_that_waited_are_delivered_to_a_new_webhook_until_it_takes_them(
    telegram: TelegramServer, bot: Bot, receiver: Receiver
) -> None:
    def answer(received: Received) -> PlainTextResponse:
        return PlainTextResponse("", 503 if len(receiver.requests) == 1 else 200)

    receiver.answer = answer
    first, second = send(telegram, "one", "two")
    await bot.set_webhook(f"{receiver.url}/hook")
    delivered = await asyncio.to_thread(receiver.wait_for, 3)
    assert [each.json["update_id"] for each in delivered] == [first, first, second]


async def test_updates_that_wait_can_be_dropped(telegram: TelegramServer, bot: Bot) -> None:
    send(telegram, "one")
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()
