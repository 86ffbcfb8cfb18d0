"""Edits in Telegram: https://core.telegram.org/bots/api#update, `edited_message`"""

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.telegram import ALICE, AT, GROUP, bot, post, said
from support.files import PNG
from support.gate import Gate

from interfaces.telegram import Telegram

__all__ = ["bot"]


@pytest.mark.parametrize("where", ["private", "group"])
async def test_a_message_that_is_edited_before_its_turn_is_answered_as_edited(
    run: Run, bot: Telegram, telegram: TelegramServer, where: str
) -> None:
    gate, write = Gate(), updates.private_message if where == "private" else updates.group_mention
    chat, text = (ALICE, "hello") if where == "private" else (GROUP, f"{AT} hello")
    async with run(bot, model=FunctionModel(gate.model)) as running:
        await post(running, telegram, write("before"))
        await gate.holds(1)
        written = write("helo")
        await post(running, telegram, written)
        await post(running, telegram, write("after"))
        assert await post(running, telegram, updates.edited(written, text)) == 200
        gate.opened.set()
        assert await said(telegram, chat, 3) == ["answer to before", "answer to hello", "answer to after"]


async def test_an_edit_of_an_answered_message_starts_nothing(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        written = updates.private_message("helo")
        await post(running, telegram, written)
        await said(telegram, ALICE)
        await post(running, telegram, updates.edited(written, "hello"))
        await post(running, telegram, updates.private_message("after"))
        await said(telegram, ALICE, 2)
        assert running.prompts == ["helo", "after"]


async def test_edits_that_change_nothing_are_not_answered(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot, settings={"answer_edits": True}) as running:
        written = updates.private_message("helo")
        await post(running, telegram, written)
        await said(telegram, ALICE)
        await running.delivered()
        await post(running, telegram, updates.edited(written, "helo"))  # with the same text, as after a reaction
        by_another = updates.edited(written, "forged")
        by_another["edited_message"]["from"] = updates.user(seed.BOB)
        await post(running, telegram, by_another)
        await post(running, telegram, updates.edited(written, "hello"))
        await said(telegram, ALICE, 2)
        assert running.prompts == ["helo", "hello"]


async def test_updates_of_a_live_location_are_not_messages(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot, settings={"answer_edits": True}) as running:
        written = updates.attached(location={"latitude": 48.4, "longitude": 10.0, "live_period": 900})
        await post(running, telegram, written)
        await said(telegram, ALICE)
        await running.delivered()
        step = {**written["message"], "location": {"latitude": 48.5, "longitude": 10.0, "live_period": 900}}
        await post(running, telegram, {"update_id": 999_999_999, "edited_message": step})
        await post(running, telegram, updates.private_message("after"))
        await said(telegram, ALICE, 2)
        assert len(running.prompts) == 2
        assert running.prompts[1] == "after"


@pytest.mark.long
async def test_the_caption_of_an_album_can_be_edited(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    for number in range(2):
        telegram.add_file(f"photo-{number}", PNG)
    async with run(bot) as running:
        album = updates.album(None, f"{AT} wich?", chat=updates.GROUP)
        for update in album:
            await post(running, telegram, update)
        edited = updates.edited(album[1], f"{AT} which?")
        message = edited["edited_message"]
        message["caption"], message["caption_entities"] = message.pop("text"), message.pop("entities")
        await post(running, telegram, edited)
        await said(telegram, GROUP)
        assert running.prompts == ["which?\n\n[image]\n\n[image]"]
