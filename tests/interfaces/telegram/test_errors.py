"""Answers that Telegram refuses, delays or does not acknowledge."""

import time

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.running import Run
from support.channels.telegram import ALICE, post, said

from gateway.channels.sentences import SENT_AGAIN
from interfaces.telegram import Telegram

pytestmark = pytest.mark.long


async def test_a_rate_limit_is_waited_for(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 429, retry_after=3)
        began = time.monotonic()
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        assert time.monotonic() - began >= 3  # seconds; the gateway's own retry would come within two
        assert [call.status for call in telegram.calls if call.method == "sendMessage"] == [429, 200]


@pytest.mark.parametrize("asked", [99999999999999, -7])
async def test_an_impossible_rate_limit_is_bounded(
    run: Run, bot: Telegram, telegram: TelegramServer, asked: int
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", retry_after=asked)
        await post(running, telegram, updates.private_message("hello"))
        await wait_until_async(running.pauses, what="a pause")
        assert [call.status for call in telegram.calls if call.method == "sendMessage"][:1] == [429]


async def test_a_person_who_blocked_the_bot_does_not_delay_others(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 403, description="Forbidden: bot was blocked by the user")
        await post(running, telegram, updates.private_message("hello"))
        await wait_until_async(lambda: len(telegram.called("sendMessage")) == 1, what="the refusal")
        await post(running, telegram, updates.private_message("hello", seed.BOB))
        assert await said(telegram, seed.BOB.telegram_id) == ["heard"]
        assert len(telegram.called("sendMessage")) == 2


async def test_a_server_error_of_telegram_is_retried(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 502)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == ["hello"]


UNREADABLE = {
    "HTML": "<html><body>Welcome to our network</body></html>",
    "empty": "",
    "null": "null",
    "list": "[]",
    "number": "1",
    "object": "{}",
    "another's": '{"message": "accepted"}',
    "no result": '{"ok": true}',
    "wrong result": '{"ok": true, "result": [1]}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_sent_again_with_a_mark(
    run: Run, bot: Telegram, telegram: TelegramServer, body: str
) -> None:
    """Answer as a proxy does, after Telegram has accepted the message. The gateway cannot know whether it has."""
    async with run(bot) as running:
        telegram.fail("sendMessage", 200, after=True, body=body)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE, 2) == ["heard", f"{SENT_AGAIN}\nheard"]
        assert running.prompts == ["hello"]


@pytest.mark.parametrize(("code", "body"), [(502, '{"error": "bad gateway"}'), (502, "[]"), (504, "<html>")])
async def test_a_failure_that_telegram_does_not_report_is_ambiguous(
    run: Run, bot: Telegram, telegram: TelegramServer, code: int, body: str
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", code, after=True, body=body)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE, 2) == ["heard", f"{SENT_AGAIN}\nheard"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409])
async def test_a_refusal_by_a_proxy_is_retried(run: Run, bot: Telegram, telegram: TelegramServer, code: int) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", code, body="<html>not allowed here</html>")
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
