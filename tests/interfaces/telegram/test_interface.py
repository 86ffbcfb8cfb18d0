"""The webhook, the start of the channel, and its settings."""

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.running import Run
from support.channels.telegram import NEW_ID, post, said

from gateway import SettingError
from interfaces.telegram import Telegram


async def test_the_webhook_is_set_at_the_start(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot, base_url="https://bot.example.com"):
        call = telegram.called("setWebhook")[0]
    assert call["url"] == "https://bot.example.com/telegram/webhook"
    assert call["secret_token"] == updates.SECRET_TOKEN
    assert call["allowed_updates"] == [
        "message",
        "edited_message",
        "callback_query",
        "message_reaction",
        "stopped_message_generation",
    ]


@pytest.mark.parametrize("secret", [None, "", "forged", "ä"])
async def test_an_update_that_telegram_did_not_send_leaves_no_trace(
    run: Run, bot: Telegram, telegram: TelegramServer, secret: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, updates.private_message("hello"), secret) == 401
        assert running.inbox() == []
    assert "TELEGRAM_WEBHOOK_SECRET" in caplog.text
    assert bot.refusals.last is not None
    assert bot.refusals.last.reason == "its secret token is missing or wrong"


async def test_a_rejected_token_stops_the_start(run: Run, telegram: TelegramServer) -> None:
    with pytest.raises(SettingError, match="TELEGRAM_BOT_TOKEN was rejected"):
        async with run(Telegram("1:wrong", "secret", telegram.url)):
            pytest.fail("it started")


@pytest.mark.parametrize(
    ("token", "secret", "named"),
    [("hushhush", "s", "TELEGRAM_BOT_TOKEN"), ("1:x", "hush hush", "TELEGRAM_WEBHOOK_SECRET")],
)
def test_a_malformed_setting_is_named_and_not_printed(token: str, secret: str, named: str) -> None:
    with pytest.raises(SettingError, match=f"{named} is malformed") as raised:
        Telegram(token, secret)
    assert "hush" not in str(raised.value)


async def test_an_address_that_telegram_refuses_stops_the_start(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.fail("setWebhook", 400, description="Bad Request: bad webhook: IP address is reserved")
    with pytest.raises(SettingError, match=r"UNDERSTUDY_BASE_URL is 'https://bot\.example\.com'.*reserved"):
        async with run(bot, base_url="https://bot.example.com"):
            pytest.fail("it started")


@pytest.mark.long
async def test_the_webhook_is_set_once_telegram_can_be_reached(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.fail("setWebhook", 502, times=2)
    async with run(bot, base_url="https://bot.example.com"):
        assert telegram.api.webhook["url"] == ""
        await wait_until_async(lambda: telegram.api.webhook["url"], what="the webhook is set")


async def test_the_secret_of_the_webhook_follows_from_the_token(run: Run, telegram: TelegramServer) -> None:
    for _ in range(2):  # two processes
        async with run(Telegram(telegram.token, api_url=telegram.url), base_url="https://bot.example.com") as running:
            secret = telegram.called("setWebhook")[-1]["secret_token"]
            assert await post(running, telegram, updates.group_message("to others"), secret) == 200
            assert await post(running, telegram, updates.group_message("to others"), "forged") == 401
    secrets = {call["secret_token"] for call in telegram.called("setWebhook")}
    assert len(secrets) == 1
    assert telegram.token.partition(":")[2] not in secrets.pop()


def test_missing_and_malformed_settings_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "TELEGRAM_API_URL", "TELEGRAM_POLLING")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"^TELEGRAM_BOT_TOKEN is not set[^\n]*$"):
        Telegram()
    for name, value in zip(names, ("hushhush", "hush hush", "telegram.test", "perhaps"), strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as raised:
        Telegram()
    for name in names:
        assert f"{name} is malformed" in str(raised.value)
    assert "hush" not in str(raised.value)


async def test_a_telegram_that_cannot_be_reached_does_not_stop_the_start(run: Run, telegram: TelegramServer) -> None:
    async with run(Telegram(telegram.token, updates.SECRET_TOKEN, "http://127.0.0.1:9")) as running:
        assert (await running.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff"])
async def test_a_body_that_is_not_an_update_is_refused(run: Run, bot: Telegram, body: bytes) -> None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": updates.SECRET_TOKEN}
    async with run(bot) as running:
        assert (await running.client.post("/telegram/webhook", content=body, headers=headers)).status_code == 400
        assert running.inbox() == []


@pytest.mark.parametrize("order", [1, -1], ids=["old group first", "new group first"])
async def test_a_group_that_became_a_supergroup_is_answered_there_and_keeps_its_history(
    run: Run, bot: Telegram, telegram: TelegramServer, order: int
) -> None:
    old, new = updates.BASIC_GROUP, {**updates.BASIC_GROUP, "id": NEW_ID, "type": "supergroup"}
    async with run(bot) as running:
        await post(running, telegram, updates.group_mention("the word is walnut", chat=old))
        await said(telegram, old["id"])
        for update in updates.migration(old, NEW_ID)[::order]:
            assert await post(running, telegram, update) == 200
        await post(running, telegram, updates.group_mention("which word?", chat=new))
        assert await said(telegram, NEW_ID) == ["heard"]
        assert "walnut" in str(running.told[-1])
        assert len(running.inbox()) == 2
