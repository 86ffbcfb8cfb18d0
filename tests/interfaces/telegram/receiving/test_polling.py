"""Updates are read from Telegram by long polling, where the gateway has no public address."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from peers import seed
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.running import Run
from support.channels.telegram import ALICE, GROUP, NEW_ID, said
from telegram import Bot, Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters

from gateway import Agent, Gateway
from gateway.channels import EventNotAcceptedError
from interfaces.telegram import Telegram
from interfaces.telegram.receiving.polling import Poller
from interfaces.telegram.request import TelegramRequest

PUBLIC = "https://bot.example.com"


@pytest.fixture
def bot(telegram: TelegramServer) -> Telegram:
    return Telegram(telegram.token, api_url=telegram.url)


async def polled(telegram: TelegramServer) -> None:
    """Wait until a call of getUpdates waits for updates."""
    await wait_until_async(lambda: telegram.api.pending.is_polled, what="getUpdates is called")


async def confirmed(telegram: TelegramServer) -> None:
    """Wait until the bot has confirmed all updates."""
    await wait_until_async(lambda: len(telegram.api.pending) == 0, what="all updates are confirmed")


async def test_a_message_is_answered_without_a_public_address(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, base_url=None) as running:
        await polled(telegram)
        telegram.send(updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == ["hello"]
    assert telegram.called("setWebhook") == []


@pytest.mark.long
async def test_messages_that_were_sent_before_the_start_are_answered_in_order(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    people = [seed.Person(f"person {number}", "", "", 5000 + number) for number in range(40)]
    texts = [f"{number} of {person.name}" for number in range(3) for person in people]  # more than getUpdates returns
    for text, person in zip(texts, people * 3, strict=True):
        telegram.send(updates.private_message(text, person))
    async with run(bot, base_url=None) as running:
        await wait_until_async(lambda: len(running.prompts) == len(texts), what="all are answered")
        for person in people:
            of_person = [text for text in texts if text.endswith(f"of {person.name}")]
            assert [text for text in running.prompts if text in of_person] == of_person


async def test_the_webhook_is_removed_with_no_update_lost(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    telegram.api.webhook = {"url": "http://127.0.0.1:9/gone"}
    telegram.send(updates.private_message("hello"))
    async with run(bot, base_url=None):
        assert await said(telegram, ALICE) == ["heard"]
    assert [call.get("drop_pending_updates") for call in telegram.called("deleteWebhook")] == [None]


@pytest.mark.parametrize(
    ("polling", "base_url", "is_polled"),
    [(None, None, True), (None, PUBLIC, False), (True, PUBLIC, True), (False, None, False), (False, PUBLIC, False)],
)
async def test_the_operator_can_choose_between_polling_and_the_webhook(
    run: Run, telegram: TelegramServer, polling: bool | None, base_url: str | None, is_polled: bool
) -> None:
    async with run(Telegram(telegram.token, api_url=telegram.url, polling=polling), base_url=base_url):
        if is_polled:
            await polled(telegram)
        elif base_url is None:
            assert telegram.api.webhook["url"] == ""
        assert bool(telegram.called("setWebhook")) is (base_url is not None and not is_polled)
    assert bool(telegram.called("deleteWebhook")) is is_polled


async def test_polling_is_chosen_by_a_setting(
    run: Run, telegram: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_POLLING", "true")
    async with run(Telegram(telegram.token, api_url=telegram.url), base_url=PUBLIC):
        await polled(telegram)


async def test_the_polls_ask_for_the_same_kinds_of_updates_as_the_webhook(run: Run, telegram: TelegramServer) -> None:
    bot = Telegram(telegram.token, api_url=telegram.url, updates=["my_chat_member"])
    async with run(bot, base_url=None):
        await polled(telegram)
        asked = list(telegram.api.pending.allowed)
    telegram.reset()
    async with run(Telegram(telegram.token, api_url=telegram.url, updates=["my_chat_member"]), base_url=PUBLIC):
        assert telegram.called("setWebhook")[0]["allowed_updates"] == asked
    assert "my_chat_member" in asked


async def test_presses_reactions_edits_and_migrations_are_taken(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    old = updates.BASIC_GROUP
    async with run(bot, base_url=None) as running:
        telegram.send(updates.private_message("hello"))
        await said(telegram, ALICE)
        await running.delivered()
        answer = telegram.messages(ALICE)[0]
        telegram.send(updates.reaction(answer, "👍"))
        telegram.send(updates.callback_query("stop", answer))
        await wait_until_async(lambda: telegram.called("answerCallbackQuery"), what="the press is answered")
        assert running.rows("SELECT rating FROM feedback") == [("up",)]
        telegram.send(updates.group_mention("the word is walnut", chat=old))
        await said(telegram, old["id"])
        for update in updates.migration(old, NEW_ID):
            telegram.send(update)
        telegram.send(updates.group_mention("which word?", chat={**old, "id": NEW_ID, "type": "supergroup"}))
        assert await said(telegram, NEW_ID) == ["heard"]
        assert "walnut" in str(running.told[-1])


async def test_an_operators_handlers_get_the_updates_that_start_no_turn(run: Run, telegram: TelegramServer) -> None:
    application = Application.builder().token(telegram.token).base_url(telegram.base_url).updater(None).build()
    heard: list[str | None] = []

    async def note(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_message is not None
        heard.append(update.effective_message.text)

    application.add_handler(MessageHandler(filters.ALL, note))
    async with run(Telegram(telegram.token, api_url=telegram.url, application=application), base_url=None):
        telegram.send(updates.group_message("to others"))
        telegram.send(updates.group_mention("to you"))
        assert await said(telegram, GROUP) == ["heard"]
        await wait_until_async(lambda: heard == ["to others"], what="the handler")


@pytest.mark.parametrize(
    "broken", [{"message": {"message_id": "one"}}, {"message": 7}, {"message": {"text": "no chat"}}]
)
async def test_an_update_that_cannot_be_read_is_logged_once_and_skipped(
    run: Run, bot: Telegram, telegram: TelegramServer, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    update = updates.private_message("before")
    number = update["update_id"]
    async with run(bot, base_url=None) as running:
        await polled(telegram)
        telegram.api.took(update)
        for each in (update, {"update_id": number + 1, **broken}, updates.private_message("after")):
            telegram.put(each)
        await wait_until_async(lambda: running.prompts == ["before", "after"], what="the others are answered")
        await confirmed(telegram)
    assert caplog.text.count(f"update {number + 1} was skipped because it is malformed") == 1


@pytest.mark.long
async def test_a_token_that_is_revoked_later_is_logged_and_polled_with_again(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.fail("getUpdates", 401, times=3)
    async with run(bot, base_url=None) as running:
        telegram.send(updates.private_message("hello"))

        async def is_not_ready() -> bool:
            answer = await running.client.get("/readyz")
            return answer.json() == {"status": "telegram: Telegram rejects TELEGRAM_BOT_TOKEN"}

        await wait_until_async(is_not_ready)
        assert await said(telegram, ALICE) == ["heard"]
        assert (await running.client.get("/readyz")).status_code == 200
    assert caplog.text.count("Telegram rejects TELEGRAM_BOT_TOKEN") == 1


@pytest.mark.long
async def test_a_bot_whose_name_is_not_known_at_the_start_answers_later(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.fail("getMe", 502, times=2)  # at the start, and for the first update
    async with run(bot, base_url=None):
        telegram.send(updates.group_mention("hello"))
        assert await said(telegram, GROUP) == ["heard"]


async def test_a_worker_neither_polls_nor_changes_the_webhook(
    bot: Telegram, telegram: TelegramServer, postgres: PostgresServer
) -> None:
    async with Gateway(Agent(model="test"), [bot], postgres.make()).worker():
        await wait_until_async(lambda: telegram.called("getMe"), what="it has started")
    assert {call.method for call in telegram.calls} == {"getMe"}


@pytest.mark.long
async def test_failures_and_rate_limits_are_waited_for(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.fail("deleteWebhook", 502)
    telegram.fail("getUpdates", 502)
    telegram.fail("getUpdates", retry_after=1)
    telegram.fail("getUpdates", 502, body="<html>Bad Gateway</html>")
    async with run(bot, base_url=None):
        telegram.send(updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
    assert caplog.text.count("no updates arrive from Telegram") == 2  # one line for all tries of a call


@pytest.mark.long
async def test_the_gateway_is_ready_again_as_soon_as_telegram_can_be_reached(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.fail("getUpdates", 502, times=2)
    async with run(bot, base_url=None) as running:

        async def status() -> str:
            return str((await running.client.get("/readyz")).json()["status"])

        async def is_unready() -> bool:
            return await status() == "telegram: Telegram cannot be reached"

        async def is_ready() -> bool:
            return await status() == "ok"

        await wait_until_async(is_unready)
        await wait_until_async(is_ready)  # sooner than a poll without updates ends


class Taken:
    """A function that takes updates, and refuses some of them first.

    Args:
        refusals: how often an update is refused before it is taken, by its text.
    """

    def __init__(self, **refusals: int) -> None:
        self.texts: list[str] = []
        self._refusals = refusals

    async def __call__(self, fields: Mapping[str, Any], payload: str) -> None:
        text = fields["message"]["text"]
        if self._refusals.get(text, 0):
            self._refusals[text] -= 1
            raise EventNotAcceptedError(0)
        self.texts.append(text)


class OneProcess:
    """A host that is the only process."""

    async def exclusively(self, name: str, work: Any) -> None:
        await work()


@pytest.fixture
async def client(telegram: TelegramServer) -> Any:
    request = TelegramRequest(connections=1, timeout=15)
    async with Bot(telegram.token, base_url=telegram.base_url, get_updates_request=request) as client:
        yield client, request


def polling(poller: Poller) -> AbstractAsyncContextManager[None]:
    return poller.polling(OneProcess(), "test")  # type: ignore[arg-type]


def poller_of(client: Any, taken: Taken) -> Poller:
    return Poller(*client, ["message"], taken, "TELEGRAM_BOT_TOKEN", conflict_pause=0.05)


async def test_the_offset_moves_on_only_after_each_update_was_committed(telegram: TelegramServer, client: Any) -> None:
    taken = Taken(two=3)
    sent = [updates.private_message(text) for text in ("one", "two", "three")]
    for update in sent:
        telegram.send(update)
    async with polling(poller_of(client, taken)):
        await confirmed(telegram)
    assert taken.texts == ["one", "two", "three"]
    offsets = [call["offset"] for call in telegram.called("getUpdates")]
    assert set(offsets) <= {0, sent[-1]["update_id"] + 1}


async def test_an_update_whose_commit_was_interrupted_stays_with_telegram(
    telegram: TelegramServer, client: Any
) -> None:
    began = asyncio.Event()

    async def hang(fields: Mapping[str, Any], payload: str) -> None:
        began.set()
        await asyncio.Event().wait()

    telegram.send(updates.private_message("one"))
    async with polling(Poller(*client, ["message"], hang, "TELEGRAM_BOT_TOKEN")):
        await began.wait()
    assert len(telegram.api.pending) == 1


async def test_another_program_that_polls_is_named_once_and_waited_for(
    telegram: TelegramServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken()
    poller = poller_of(client, taken)
    async with polling(poller):
        async with Bot(telegram.token, base_url=telegram.base_url) as other:
            await polled(telegram)
            await other.get_updates(timeout=0)
            await wait_until_async(lambda: poller.outage is not None, what="the conflict is noticed")
            await other.set_webhook("http://127.0.0.1:9/hook")
            await wait_until_async(lambda: len(telegram.called("getUpdates")) > 5, what="it is tried again")
            assert poller.outage == "another program takes the updates of the bot"
            await other.delete_webhook()
        telegram.send(updates.private_message("one"))
        await confirmed(telegram)
        assert taken.texts == ["one"]
        assert poller.outage is None
    assert caplog.text.count("another program takes the updates of the bot") == 1
    assert "Stop that program" in caplog.text


async def test_the_poll_ends_at_once_when_the_gateway_stops(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with asyncio.timeout(20), run(bot, base_url=None):
        await polled(telegram)
    assert telegram.called("getUpdates") == []  # the call that was cut off has not returned


async def test_bob_is_answered_while_an_answer_to_alices_press_hangs(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot, base_url=None):
        telegram.send(updates.private_message("hello"))
        await said(telegram, ALICE)
        telegram.fail("answerCallbackQuery", delay=10)
        telegram.send(updates.callback_query("stop", telegram.messages(ALICE)[0]))
        telegram.send(updates.private_message("hello", seed.BOB))
        assert await said(telegram, seed.BOB.telegram_id) == ["heard"]
        assert telegram.called("answerCallbackQuery") == []
