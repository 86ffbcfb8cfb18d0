"""The operator learns at the start, and when asked, whether Telegram delivers to the gateway."""

import re

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.running import URL, Run

from interfaces.telegram import Telegram

UNREACHABLE = "127.0.0.1:9"  # a port on which nothing listens
ADDRESS = f"{URL}/telegram/webhook"


async def test_the_webhook_of_a_new_start_has_no_problems(run: Run, bot: Telegram) -> None:
    async with run(bot):
        state = await bot.webhook_state()
        assert state is not None
        assert (state.url, state.problems, state.waiting, state.failed_at) == (ADDRESS, [], 0, None)
        assert str(state) == f"Telegram delivers updates to {ADDRESS}, up to 40 at once; 0 wait"


async def test_a_start_says_what_waits_and_why_the_last_delivery_failed(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = f"http://{UNREACHABLE}"
    telegram.api.webhook = {"url": f"{nobody}/telegram/webhook"}
    telegram.api.pending.add(updates.private_message("hello"))
    await wait_until_async(lambda: telegram.api.last_error, what="a delivery has failed")
    async with run(bot, base_url=nobody):
        await wait_until_async(lambda: "Connection refused" in caplog.text, what="the warning")
    (record,) = [each for each in caplog.records if "Connection refused" in each.getMessage()]
    assert record.levelname == "WARNING"
    failed = r"; 1 wait; the last failure was at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: Connection refused$"
    assert re.search(failed, record.getMessage())


async def test_a_webhook_that_another_program_has_set_is_a_problem(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot):
        telegram.api.webhook = {**telegram.api.webhook, "allowed_updates": ["message"]}
        state = await bot.webhook_state()
        assert state is not None
        assert "set without callback_query, edited_message" in state.problems[0]
        telegram.api.webhook = {"url": "https://other.test"}
        state = await bot.webhook_state()
        assert state is not None
        assert state.problems == [
            f"this gateway waits at {ADDRESS}: if another program uses the bot, give each its own"
        ]


async def test_without_a_public_address_there_is_no_webhook_to_look_at(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, base_url=None):
        assert await bot.webhook_state() is None
        await wait_until_async(lambda: telegram.called("setMyCommands"), what="the commands")
    assert telegram.called("getWebhookInfo") == []
