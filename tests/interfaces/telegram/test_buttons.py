"""Questions are messages with buttons, and presses are handed to the gateway and answered."""

import logging
from typing import Any

import pytest
from peers import seed
from peers.emulate.control import Json
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from support.channels.presses import CARD_ID, Pressed, card
from support.channels.running import Run
from support.channels.telegram import ALICE, GROUP, NEW_ID, post

from gateway.channels import Choice, Press, PressOutcome
from interfaces.telegram import Telegram
from oauth import Identity
from toolkits import Conversation

TENANT = str(updates.BOT_ID)
WHO = Identity("telegram", TENANT, str(ALICE))
IN_GROUP = Conversation("telegram", TENANT, str(GROUP), shared=True)


@pytest.fixture(autouse=True)
def alice(telegram: TelegramServer) -> Json:
    """Have Alice write to the bot, so that it may write to her."""
    update = updates.private_message("hello")
    telegram.api.took(update)
    return update


def keyboard(message: Json) -> list[list[Json]]:
    rows: list[list[Json]] = message["reply_markup"]["inline_keyboard"]
    return rows


def notices(telegram: TelegramServer) -> list[tuple[Any, Any]]:
    """Return the texts of the answers to presses, and whether people have to close them."""
    return [(call.get("text"), call.get("show_alert")) for call in telegram.called("answerCallbackQuery")]


async def test_a_question_has_a_button_for_each_choice(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot):
        sent = await bot.presenter.send_question(IN_GROUP, card("May I <b>do</b> it?"), "", key="k")
        (message,) = telegram.messages(GROUP)
        assert (str(message["message_id"]), message["text"]) == (sent, "May I do it?")
        assert keyboard(message) == [
            [
                {"text": "Approve", "callback_data": f"q:{CARD_ID}:0", "style": "primary"},
                {"text": "Decline", "callback_data": f"q:{CARD_ID}:1", "style": "danger"},
            ]
        ]


async def test_a_private_question_goes_only_to_its_person(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot):
        sent = await bot.presenter.send_private_question(WHO, IN_GROUP, card(), first=True, key="k")
        assert [str(message["message_id"]) for message in telegram.messages(ALICE)] == [sent]
        assert telegram.said(GROUP) == []


async def test_long_choices_stand_below_one_another(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot):
        choices = [Choice("the calendar of the whole team"), Choice("mine")]
        await bot.presenter.send_question(IN_GROUP, card("Which?", *choices), "", key="k")
        assert [len(row) for row in keyboard(telegram.messages(GROUP)[0])] == [1, 1]


@pytest.mark.parametrize(("count", "is_shown"), [(100, True), (101, False)])
async def test_choices_are_typed_if_telegram_cannot_show_so_many(
    run: Run, bot: Telegram, telegram: TelegramServer, count: int, is_shown: bool
) -> None:
    async with run(bot):
        choices = [Choice(f"n{number}") for number in range(count)]
        await bot.presenter.send_question(IN_GROUP, card("Which?", *choices), "", key="k")
        (message,) = telegram.messages(GROUP)
        assert ("reply_markup" in message) == is_shown
        assert (f"n{count - 1}" in message["text"]) != is_shown


async def test_a_question_whose_buttons_telegram_refuses_is_asked_in_words(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(bot):
        telegram.fail("sendMessage", 400, description="Bad Request: BUTTON_DATA_INVALID")
        await bot.presenter.send_question(IN_GROUP, card(), "", key="k")
        assert telegram.said(GROUP) == ["May I?\n\nAnswer Approve or Decline."]
        assert "button_data_invalid" in caplog.text.lower()


@pytest.mark.parametrize("is_private", [False, True])
async def test_a_decided_question_shows_what_was_decided_and_no_buttons(
    run: Run, bot: Telegram, telegram: TelegramServer, is_private: bool
) -> None:
    async with run(bot):
        identity = WHO if is_private else None
        if identity is not None:
            sent = await bot.presenter.send_private_question(identity, IN_GROUP, card(), first=True, key="k")
        else:
            sent = await bot.presenter.send_question(IN_GROUP, card(), "", key="k")
        assert sent is not None
        for _ in range(2):  # Telegram refuses the second edit, since it changes nothing
            await bot.presenter.close_question(IN_GROUP, identity, sent, "May I?\n<b>Approved</b> by Alice")
        (message,) = telegram.messages(ALICE if is_private else GROUP)
        assert message["text"] == "May I?\nApproved by Alice"
        assert "reply_markup" not in message


@pytest.mark.parametrize(
    "reason",
    ["Bad Request: message to edit not found", "Bad Request: message can't be edited", "Forbidden: bot was kicked"],
)
async def test_a_question_that_is_gone_or_too_old_counts_as_closed(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    async with run(bot):
        telegram.fail("editMessageText", 403 if reason.startswith("F") else 400, description=reason)
        with caplog.at_level(logging.INFO, "interfaces.telegram"):
            await bot.presenter.close_question(IN_GROUP, None, "1", "May I? Yes.")
        assert "keeps its buttons" in caplog.text


async def test_a_question_in_a_group_that_became_a_supergroup_counts_as_closed(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot):
        telegram.api.migrated[GROUP] = NEW_ID
        await bot.presenter.close_question(IN_GROUP, None, "1", "May I? Yes.")


async def test_telegram_is_asked_for_presses(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot):
        assert "callback_query" in telegram.api.webhook["allowed_updates"]


async def asked(bot: Telegram, telegram: TelegramServer, question: str = "May I?") -> Json:
    """Ask in the group, and return the message."""
    await bot.presenter.send_question(IN_GROUP, card(question), "", key="k")
    return telegram.messages(GROUP)[-1]


async def test_a_press_is_handed_to_the_gateway_with_its_person_and_answered(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        update = updates.callback_query(f"q:{CARD_ID}:1", await asked(bot, telegram))
        assert await post(running, telegram, update) == 200
        assert pressed.presses == [Press(CARD_ID, 1, WHO, "Alice")]
        assert notices(telegram) == [("It is taken.", False)]
        assert running.inbox() == []


@pytest.mark.parametrize("outcome", [PressOutcome.DECIDED, PressOutcome.NOT_YOURS, PressOutcome.CLOSED])
async def test_a_person_whose_press_is_refused_has_to_close_a_notice(
    run: Run, bot: Telegram, telegram: TelegramServer, outcome: PressOutcome
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        pressed.outcome = outcome
        await post(running, telegram, updates.callback_query(f"q:{CARD_ID}:0", await asked(bot, telegram), seed.BOB))
        assert pressed.presses[0].identity.user_id == str(seed.BOB.telegram_id)
        assert notices(telegram) == [(f"It is {outcome}.", True)]


async def test_a_press_under_an_inaccessible_message_counts(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    """https://core.telegram.org/bots/api#inaccessiblemessage"""
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        old = {"chat": updates.GROUP, "message_id": 5, "date": 0}
        assert await post(running, telegram, updates.callback_query(f"q:{CARD_ID}:0", old)) == 200
        assert len(pressed.presses) == 1


@pytest.mark.parametrize("sender", [updates.ANONYMOUS_ADMIN, updates.CHANNEL_BOT])
async def test_a_press_by_an_account_that_several_people_share_is_not_counted(
    run: Run, bot: Telegram, telegram: TelegramServer, sender: Json
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        update = updates.callback_query(f"q:{CARD_ID}:0", await asked(bot, telegram))
        update["callback_query"]["from"] = sender
        assert await post(running, telegram, update) == 200
        assert pressed.presses == []
        assert notices(telegram) == [("I cannot tell who you are here. Please answer under your own name.", True)]


async def test_a_press_under_a_message_of_another_chat_is_not_counted(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        update = updates.callback_query(f"q:{CARD_ID}:0", {})
        del update["callback_query"]["message"]
        update["callback_query"]["inline_message_id"] = "AAA"
        assert await post(running, telegram, update) == 200
        assert pressed.presses == []
        assert notices(telegram) == [("This button works only in the chat where I asked.", True)]


@pytest.mark.parametrize("data", ["", "x", "another:1", "questionable:1:0"])
async def test_a_press_of_another_button_gets_an_empty_answer(
    run: Run, bot: Telegram, telegram: TelegramServer, data: str
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        assert await post(running, telegram, updates.callback_query(data, await asked(bot, telegram))) == 200
        assert pressed.presses == []
        assert notices(telegram) == [(None, False)]


@pytest.mark.parametrize("data", ["q:", "q:abc", "q::1", "q:abc:-1", "q:abc:x", "q:abc:٣"])
async def test_a_press_of_an_unknown_button_is_told_that_the_question_is_closed(
    run: Run, bot: Telegram, telegram: TelegramServer, data: str
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        assert await post(running, telegram, updates.callback_query(data, await asked(bot, telegram))) == 200
        assert pressed.presses == []
        assert notices(telegram) == [("This question is closed.", True)]


async def test_a_press_that_can_no_longer_be_answered_counts(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        update = updates.callback_query(f"q:{CARD_ID}:0", await asked(bot, telegram))
        with caplog.at_level(logging.INFO, "interfaces.telegram"):
            for _ in range(2):
                assert await post(running, telegram, update) == 200
                telegram.api.expire_queries()
            telegram.fail("answerCallbackQuery", 400, description="Bad Request: query is too old")
            assert await post(running, telegram, update) == 200
        assert len(pressed.presses) == 3
        assert "query is too old" in caplog.text.lower()


async def test_a_long_sentence_is_shortened(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        pressed.sentence = "word " * 100
        await post(running, telegram, updates.callback_query(f"q:{CARD_ID}:0", await asked(bot, telegram)))
        ((text, _),) = notices(telegram)
        assert len(text) == 200
        assert text.endswith("…")


@pytest.mark.parametrize(
    "fields", [{"id": 5}, {"from": None}, {"from": {"id": "x"}}, {"message": "x"}, {"data": 5}, {"chat_instance": None}]
)
async def test_a_press_that_telegram_does_not_document_is_refused(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: Json
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        update = updates.callback_query(f"q:{CARD_ID}:0", await asked(bot, telegram))
        update["callback_query"] |= fields
        answer = await running.client.post(
            "/telegram/webhook", json=update, headers={"X-Telegram-Bot-Api-Secret-Token": updates.SECRET_TOKEN}
        )
        assert answer.status_code == 400
        assert pressed.presses == []


async def test_a_press_that_telegram_did_not_send_leaves_no_trace(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        pressed = await Pressed.between(bot)
        update = updates.callback_query(f"q:{CARD_ID}:0", await asked(bot, telegram))
        assert await post(running, telegram, update, secret="another") == 401
        assert pressed.presses == []
        assert notices(telegram) == []
