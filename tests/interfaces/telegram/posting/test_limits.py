"""Telegram's rate limits are kept, and those that are not slow nobody else."""

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.agents.writer import Writer
from support.channels.running import Run
from support.channels.telegram import ALICE, AT, GROUP, post, said

from interfaces.telegram import Telegram

FORUM = updates.FORUM["id"]
LONG = 3000  # seconds of a pause that does not end in a test


def sends(telegram: TelegramServer) -> list[int]:
    """Return the chats to which the bot has sent messages, in order."""
    return [call["chat_id"] for call in telegram.called("sendMessage")]


def refusals(telegram: TelegramServer) -> list[str]:
    return [call.method for call in telegram.calls if call.status == 429]


def person(number: int) -> seed.Person:
    return seed.Person(f"person {number}", "", "", 5000 + number)


@pytest.mark.long
async def test_ten_parts_in_a_group_are_paced_without_a_refusal_while_other_chats_are_answered(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.limit()
    answer = "\n\n".join(f"Paragraph {number}: {'word ' * 700}".strip() for number in range(10))
    parts = bot.presenter.parts(answer)
    assert len(parts) == 10
    async with run(bot, paced=True) as running:
        running.answers.append(answer)
        await post(running, telegram, updates.group_mention("tell me all"))
        await said(telegram, GROUP)
        for other in range(3):
            await post(running, telegram, updates.private_message("hello", person(other)))
        assert await said(telegram, GROUP, 10) == parts
        await running.delivered()
    order = sends(telegram)
    assert all(order.index(person(other).telegram_id) < order.index(GROUP) + 5 for other in range(3))
    assert refusals(telegram) == []


@pytest.mark.long
async def test_answers_in_the_topics_of_a_group_share_its_limit(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.limit()
    async with run(bot, paced=True) as running:
        for topic in range(101, 106):
            await post(running, telegram, updates.topic_message(f"{AT} hello", thread_id=topic))
        await said(telegram, FORUM, 5)
        await running.delivered()
    assert refusals(telegram) == []


@pytest.mark.long
async def test_answers_in_many_chats_keep_the_limit_of_the_bot(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.limit()
    async with run(bot, paced=True) as running:
        for number in range(50):
            await post(running, telegram, updates.private_message("hello", person(number)))
        await wait_until_async(lambda: len(sends(telegram)) == 50, what="everybody is answered")
        await running.delivered()
    assert refusals(telegram) == []


@pytest.mark.long
async def test_after_a_rate_limit_of_a_preview_the_answer_waits_too(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    writer = Writer()
    async with run(bot, model=writer.model, paced=True) as running:
        await post(running, telegram, updates.private_message("hello"))
        writer.write("Half of ")
        await wait_until_async(lambda: telegram.messages(ALICE), what="the preview")
        telegram.fail("editMessageText", retry_after=LONG)
        writer.write("the answer")
        await wait_until_async(lambda: refusals(telegram), what="the refusal of an edit")
        writer.end()
        await running.waiting_deliveries(1)
        assert len(telegram.called("editMessageText")) == 1


async def test_a_rate_limit_in_one_topic_is_that_of_its_group(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, paced=True) as running:
        telegram.fail("sendMessage", retry_after=LONG)
        await post(running, telegram, updates.topic_message(f"{AT} hello", thread_id=7))
        await running.waiting_deliveries(1)
        await post(running, telegram, updates.topic_message(f"{AT} hello", thread_id=8))
        await running.waiting_deliveries(2)
        await post(running, telegram, updates.group_mention("hello"))
        await said(telegram, GROUP)
        assert sends(telegram) == [FORUM, GROUP]
        assert running.rows("SELECT key FROM pauses") == [(str(FORUM),)]


async def test_a_rate_limit_of_the_whole_bot_is_recognized_by_refusals_in_many_chats(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, paced=True) as running:
        telegram.fail("sendMessage", retry_after=LONG, times=5)
        for number in range(5):
            await post(running, telegram, updates.private_message("hello", person(number)))
        await running.waiting_deliveries(5)
        await post(running, telegram, updates.private_message("hello"))
        await running.waiting_deliveries(6)
        assert ALICE not in sends(telegram)
        assert ("",) in running.rows("SELECT key FROM pauses")


async def test_rate_limits_of_many_chats_are_not_those_of_the_bot_while_others_are_answered(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, paced=True) as running:
        for number in range(6):
            telegram.fail("sendMessage", retry_after=LONG)
            await post(running, telegram, updates.private_message("hello", person(number)))
            await running.waiting_deliveries(number + 1)
            await post(running, telegram, updates.private_message("hello", person(10 + number)))
            await said(telegram, person(10 + number).telegram_id)
        assert ("",) not in running.rows("SELECT key FROM pauses")
