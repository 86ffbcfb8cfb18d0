"""Helpers for tests of the Telegram channel."""

from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async

from interfaces.telegram import Telegram
from support.channels.running import Running

ALICE = seed.ALICE.telegram_id
GROUP = updates.GROUP["id"]
AT = f"@{updates.BOT_USERNAME}"
NEW_ID = -1002000000001  # the id of the supergroup that a group becomes


@pytest.fixture
def bot(telegram: TelegramServer) -> Telegram:
    return Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url)


async def post(
    running: Running, telegram: TelegramServer, update: dict[str, Any], secret: str | None = updates.SECRET_TOKEN
) -> int:
    """Post an update to the gateway, and return the status. The stand-in for the Bot API records the update first."""
    telegram.api.took(update)
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret.encode()} if secret is not None else {}
    return (await running.client.post("/telegram/webhook", json=update, headers=headers)).status_code


async def said(telegram: TelegramServer, chat: int, count: int = 1) -> list[str]:
    """Wait until the bot has sent `count` messages in a chat, and return their texts."""
    await wait_until_async(lambda: len(telegram.said(chat)) >= count, what=f"the bot has sent {count} messages")
    return telegram.said(chat)
