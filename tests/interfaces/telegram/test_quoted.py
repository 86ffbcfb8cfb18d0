"""Replies and forwarded messages in Telegram are quoted: https://core.telegram.org/bots/api#message"""

from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from support.channels.running import Run
from support.channels.telegram import ALICE, GROUP, post, said
from support.files import PNG

from interfaces.telegram import Telegram

pytestmark = pytest.mark.long

BOB = {"type": "user", "date": 1763990000, "sender_user": {"id": 1002, "is_bot": False, "first_name": "Bob"}}
OURS = {"type": "user", "date": 1763990000, "sender_user": updates.BOT}
NEWS = {"type": "channel", "date": 1763990000, "message_id": 5, "chat": updates.CHANNEL}


def block(prompt: str) -> tuple[list[str], str]:
    """Return the lines that a prompt quotes, and the text that follows."""
    lines, _, words = prompt.partition("\n</quoted>")
    return lines.split("\n")[2:], words.lstrip("\n")


async def test_a_reply_in_a_group_tells_the_model_whom_it_answers(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    original = updates.group_message("Ship it.\nToday.", seed.BOB)["message"]
    asking = updates.reply(f"@{updates.BOT_USERNAME} right?", original, quote={"text": "Today.", "position": 9})
    async with run(bot) as running:
        await post(running, telegram, asking)
        await said(telegram, GROUP)
        quoted, words = block(running.prompts[0])
        assert quoted == [
            '"Bob" wrote, in the message that the person replied to:',
            "> Ship it.",
            "> Today.",
            "The person marked this part of it:",
            "> Today.",
        ]
        assert words == "right?"


async def test_the_model_sees_the_photo_that_a_message_replies_to(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.add_file("photo-file", PNG)
    original = updates.photo("look", seed.BOB, updates.GROUP)["message"]
    async with run(bot) as running:
        await post(running, telegram, updates.reply(f"@{updates.BOT_USERNAME} what is this?", original))
        assert await said(telegram, GROUP) == ["heard"]
        assert running.files == [(PNG, "image/png")]
        assert block(running.prompts[0])[0][1:] == ["> look", "> [image]"]


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ({"forward_origin": BOB}, '"Bob"'),
        ({"forward_origin": OURS}, "You, the assistant,"),
        ({"forward_origin": NEWS}, '"Peers news"'),
        ({"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Eve"}}, '"Eve"'),
        ({"forward_origin": {"type": "chat", "date": 1, "sender_chat": updates.GROUP}}, '"Peers"'),
        ({"forward_origin": {"type": "of_the_future", "date": 1}}, "Somebody"),
    ],
    ids=["user", "the bot", "channel", "hidden user", "group", "unknown"],
)
async def test_a_forwarded_message_is_quoted_with_its_author(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: dict[str, Any], author: str
) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("/new: ship it", **fields))
        assert await said(telegram, ALICE) == ["heard"]
        quoted, words = block(running.prompts[0])
        assert quoted == [f"{author} wrote, in a message that the person forwarded:", "> /new: ship it"]
        assert words == ""


async def test_the_model_gets_the_quoted_part_of_a_message_in_another_chat(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    quote = {"text": "We move.", "position": 0}
    asking = updates.private_message("is that so?", external_reply={"origin": NEWS}, quote=quote)
    async with run(bot) as running:
        await post(running, telegram, asking)
        await said(telegram, ALICE)
        quoted, words = block(running.prompts[0])
        assert quoted[0].startswith('"Peers news" wrote')
        assert quoted[1:] == ["The person marked this part of it:", "> We move."]
        assert words == "is that so?"
