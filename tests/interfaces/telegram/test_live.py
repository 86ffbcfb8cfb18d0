"""Previews of running turns in Telegram."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer, is_preview
from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.agents.writer import Writer
from support.channels.running import Run
from support.channels.telegram import ALICE, post, said

from interfaces.telegram import Telegram

FORUM = updates.FORUM["id"]
WORDS = 30  # words of an answer, which takes three seconds


async def write_slowly(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str]:
    """Answer with the text of the message, and then with numbered words."""
    prompt = next(part.content for part in messages[-1].parts if isinstance(part, UserPromptPart))
    for number in range(WORDS):
        yield f"{number or prompt} "
        await asyncio.sleep(0.1)


def answer_to(text: str) -> str:
    return " ".join((text, *map(str, range(1, WORDS))))


def texts(telegram: TelegramServer, chat: int) -> list[str]:
    return [message["text"] for message in telegram.messages(chat)]


@pytest.mark.long
async def test_an_answer_is_written_into_one_message_which_can_be_stopped(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    writer = Writer()
    telegram.limit()
    async with run(bot, model=writer.model, paced=True) as running:
        await post(running, telegram, updates.private_message("hello"))
        writer.write("<b>Half", " **of** ")
        await wait_until_async(lambda: texts(telegram, ALICE) == ["<b>Half of …"], what="the beginning")
        (preview,) = telegram.messages(ALICE)
        assert is_preview(preview)
        writer.write("it")
        writer.end()
        assert await said(telegram, ALICE) == ["<b>Half of it"]
        await running.delivered()
        (message,) = telegram.messages(ALICE)
        assert (message["message_id"], is_preview(message)) == (preview["message_id"], False)
    assert telegram.called("sendChatAction")
    assert [call.status for call in telegram.calls if call.status != 200] == []


@pytest.mark.long
async def test_ten_streams_at_once_keep_the_limits_of_a_group_and_other_chats_do_not_wait(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.limit()
    async with run(bot, model=FunctionModel(stream_function=write_slowly), paced=True) as running:
        for topic in range(101, 111):
            update = updates.topic_message(f"@{updates.BOT_USERNAME} topic {topic}", thread_id=topic)
            await post(running, telegram, update)
        await post(running, telegram, updates.private_message("private"))
        await wait_until_async(lambda: texts(telegram, ALICE), what="the beginning of the private answer")
        assert is_preview(telegram.messages(ALICE)[0])
        answers = await said(telegram, FORUM, 10)
        assert sorted(answers) == [answer_to(f"topic {topic}") for topic in range(101, 111)]
        assert await said(telegram, ALICE) == [answer_to("private")]
        await running.delivered()
    refused = [call for call in telegram.calls if call.status != 200]
    assert refused == []
    assert len(telegram.messages(FORUM)) == 10


async def test_a_rate_limit_in_one_group_does_not_delay_other_chats(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", retry_after=3000)
        await post(running, telegram, updates.group_mention("hello"))
        await wait_until_async(running.pauses, what="the pause")
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        assert texts(telegram, updates.GROUP["id"]) == []


@pytest.mark.long
async def test_a_long_answer_continues_in_the_next_message_while_it_is_written(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    writer, paragraphs = Writer(), [f"Paragraph {number}: {'word ' * 150}".strip() for number in range(12)]
    async with run(bot, model=writer.model) as running:
        await post(running, telegram, updates.private_message("hello"))
        writer.write(*(f"{paragraph}\n\n" for paragraph in paragraphs[:8]))
        await wait_until_async(lambda: len(telegram.messages(ALICE)) == 2, what="the second message")
        assert [is_preview(message) for message in telegram.messages(ALICE)] == [True, True]
        writer.write(*(f"{paragraph}\n\n" for paragraph in paragraphs[8:]))
        writer.end()
        answer = "\n\n".join(paragraphs)
        assert await said(telegram, ALICE, 3) == bot.presenter.parts(answer)
        await running.delivered()
        assert len(telegram.messages(ALICE)) == 3
    assert [call.status for call in telegram.calls if call.status != 200] == []
