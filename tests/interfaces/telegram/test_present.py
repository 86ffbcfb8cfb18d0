"""Answers are sent to Telegram."""

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.telegram import ALICE, AT, NEW_ID, post, said
from support.files import PDF
from support.stage import Orders, obey

from gateway import Conversation, File
from gateway.channels.presenter import MARK_LENGTH
from gateway.channels.sentences import SENT_AGAIN
from interfaces.telegram import Telegram
from interfaces.telegram.posting.messages import TOPIC_MARK


async def test_a_long_answer_comes_in_parts_in_order(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        running.answers.append(" ".join(f"**{number}** <&>" for number in range(800)))
        await post(running, telegram, updates.private_message("count"))
        await wait_until_async(lambda: any("799" in text for text in telegram.said(ALICE)[-1:]), what="the last part")
        assert " ".join(telegram.said(ALICE)) == " ".join(f"{number} <&>" for number in range(800))


@pytest.mark.parametrize(
    "answer",
    [
        "<script>alert(1)</script> & </b> <b>",
        "[a](tg://user?id=1002) [b](https://a.test/?x=\"1\"&y='2')",
        "> quoted\n> > again\n\n- a\n  - b\n    ```\n    <c>\n    ```",
        "| a <b> | & |\n|---|---|\n| `c` | **d** |",
        "```" + "l" * 9000 + "\ncode\n```",
        "**" + "bold <&> " * 900 + "**",
    ],
    ids=["tags", "links", "nested", "table", "long fence", "long bold"],
)
async def test_telegram_accepts_whatever_a_model_writes(
    run: Run, bot: Telegram, telegram: TelegramServer, answer: str
) -> None:
    async with run(bot) as running:
        running.answers.append(answer)
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        await post(running, telegram, updates.private_message("next"))
        await wait_until_async(lambda: telegram.said(ALICE)[-1] == "heard", what="the next answer")
        assert {call.status for call in telegram.calls if call.method == "sendMessage"} == {200}


async def test_an_answer_that_telegram_cannot_parse_is_sent_as_plain_text_at_once(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(bot) as running:
        running.answers.append("**bold** <secret> [link](https://a.test/?x=1&y=2)")
        reason = 'can\'t parse entities: Unsupported start tag "b" at byte offset 0'
        telegram.fail("sendMessage", 400, description=f"Bad Request: {reason}")
        await post(running, telegram, updates.group_mention("hello"))
        assert await said(telegram, updates.GROUP["id"]) == ["bold <secret> link (https://a.test/?x=1&y=2)"]
        refused, sent = [call for call in telegram.calls if call.method == "sendMessage"]
        assert (refused.status, sent.status) == (400, 200)
        assert "parse_mode" not in sent.params
        unlike = {"text", "parse_mode"}
        assert {name: value for name, value in refused.params.items() if name not in unlike} == {
            name: value for name, value in sent.params.items() if name not in unlike
        }
    [record] = [record for record in caplog.records if record.name == "interfaces.telegram.posting.messages"]
    assert record.levelname == "WARNING"
    assert "Can't parse entities" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.long
async def test_a_rate_limit_of_the_plain_text_of_an_answer_is_waited_for(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 400, description="Bad Request: can't parse entities: Unclosed start tag")
        telegram.fail("sendMessage", retry_after=1)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        statuses = [call.status for call in telegram.calls if call.method == "sendMessage"]
        assert statuses == [400, 429, 200]


async def test_an_answer_to_a_group_goes_to_the_supergroup_that_it_became(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    """Refuse the answer as Telegram does, with the new id of the group."""
    old = updates.BASIC_GROUP
    async with run(bot) as running:
        telegram.api.took(updates.migration(old, NEW_ID)[0])
        await post(running, telegram, updates.group_mention("hello", chat=old))
        assert await said(telegram, NEW_ID) == ["heard"]
        sent = [call["chat_id"] for call in telegram.called("sendMessage")]
        assert sent == [old["id"], NEW_ID]


@pytest.mark.parametrize("what", ["closed", "deleted"])
async def test_an_answer_to_a_topic_that_is_gone_goes_to_its_group_with_a_mark(
    run: Run, bot: Telegram, telegram: TelegramServer, what: str
) -> None:
    async with run(bot) as running:
        update = updates.topic_message(f"{AT} hello", 7)
        telegram.fail("sendMessage", 502)
        await post(running, telegram, update)
        await wait_until_async(lambda: telegram.called("sendMessage"), what="the first try")
        end = telegram.api.close_topic if what == "closed" else telegram.api.delete_topic
        end(updates.FORUM["id"], 7)
        assert await said(telegram, updates.FORUM["id"]) == [f"{TOPIC_MARK}\nheard"]
        assert {"message_thread_id", "reply_parameters"}.isdisjoint(telegram.called("sendMessage")[-1])


async def test_files_for_a_deleted_topic_go_to_its_group(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"{AT} hello", 7))
        await said(telegram, updates.FORUM["id"])
        telegram.api.delete_topic(updates.FORUM["id"], 7)
        topic = Conversation("telegram", str(updates.BOT["id"]), f"{updates.FORUM['id']}/7", shared=True)
        await running.gateway.send(topic, "", files=[File(PDF, name="bill.pdf")])
        assert (await said(telegram, updates.FORUM["id"], 2))[1] == TOPIC_MARK
        assert telegram.sent_files(updates.FORUM["id"]) == [("document", "bill.pdf", PDF)]


def test_the_mark_of_a_topic_fits_beside_that_of_a_repeated_message() -> None:
    assert len(f"{TOPIC_MARK}\n{SENT_AGAIN}\n") <= MARK_LENGTH


async def test_an_answer_to_a_deleted_topic_of_a_private_chat_goes_to_that_chat(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    topic = {"message_thread_id": 5, "is_topic_message": True}
    async with run(bot) as running:
        telegram.fail("sendMessage", 502)
        await post(running, telegram, updates.private_message("hello", **topic))
        await wait_until_async(lambda: telegram.called("sendMessage"), what="the first try")
        telegram.api.delete_topic(ALICE, 5)
        assert await said(telegram, ALICE) == [f"{TOPIC_MARK}\nheard"]


async def test_a_question_from_a_group_is_answered_in_the_private_chat_outside_of_topics(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    orders = Orders()
    topic = {"message_thread_id": 5, "is_topic_message": True}
    async with run(bot, [orders], model=FunctionModel(obey)) as running:
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        await running.delivered()
        await post(running, telegram, updates.topic_message(f'{AT} call cancel {{"order":"4711"}}', 7))
        assert "May I do this" in (await said(telegram, ALICE, 2))[1]
        await running.delivered()
        await post(running, telegram, updates.private_message("yes", **topic))
        assert (await said(telegram, ALICE, 3))[2] == "heard: yes"
        assert orders.cancelled == []
        await post(running, telegram, updates.private_message("yes"))
        await wait_until_async(lambda: orders.cancelled == ["4711"], what="it is done")
