"""A turn in Telegram is stopped by a command, by the button of its preview, and by Telegram's own button."""

from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.agents.held import Held
from support.agents.writer import Writer
from support.channels.running import Run, Running
from support.channels.telegram import ALICE, AT, GROUP, post, said

from interfaces.telegram import Telegram
from toolkits import Conversation


async def begin(running: Running, telegram: TelegramServer, held: Held, update: dict[str, Any]) -> None:
    await post(running, telegram, update)
    await held.asked.wait()


@pytest.mark.parametrize("of_telegram", [False, True])
async def test_a_turn_in_a_private_chat_is_stopped(
    run: Run, bot: Telegram, telegram: TelegramServer, of_telegram: bool
) -> None:
    held = Held()
    async with run(bot, model=held.model) as running:
        await begin(running, telegram, held, updates.private_message("tell me"))
        update = updates.generation_stopped() if of_telegram else updates.command("stop")
        assert await post(running, telegram, update) == 200
        assert await said(telegram, ALICE, 1) == ["Stopped."]


async def test_only_the_person_who_asked_can_press_the_button(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    held, in_group = Held(), Conversation("telegram", str(updates.BOT_ID), str(GROUP), shared=True)
    async with run(bot, model=held.model) as running:
        await begin(running, telegram, held, updates.group_message(f"{AT} tell me"))
        await bot.presenter.send_text(in_group, "Looking…", "", key="k")
        shown = telegram.messages(GROUP)[-1]
        for person in (seed.BOB, seed.ALICE):
            assert await post(running, telegram, updates.callback_query("stop", shown, person)) == 200
        assert (await said(telegram, GROUP, 2))[-1] == "Stopped."
        told = [call["text"] for call in telegram.called("answerCallbackQuery")]
    assert told == ["I am not working on anything for you here.", "I am stopping."]


@pytest.mark.long
async def test_a_stopped_streamed_answer_is_one_message_with_a_mark(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    writer = Writer()
    async with run(bot, model=writer.model) as running:
        await post(running, telegram, updates.private_message("tell me a story"))
        writer.write("Once upon", " a time")
        shown = await wait_until_async(lambda: telegram.messages(ALICE), what="the text is shown")
        assert await post(running, telegram, updates.callback_query("stop", shown[0])) == 200
        await wait_until_async(
            lambda: telegram.said(ALICE) == ["Once upon a time\n\n(Stopped.)"], what="the message is completed"
        )
        (message,) = telegram.messages(ALICE)
        assert "reply_markup" not in message
