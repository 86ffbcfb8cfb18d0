import time
from typing import Any

import pytest
from interfaces_run import Run, Running
from peers import seed
from peers import telegram_updates as updates
from peers.telegram import TelegramServer
from peers.wait import wait_until_async
from pydantic_ai.models.function import FunctionModel
from stage import FakeProvider, Orders, obey
from telegram.error import RetryAfter

from gateway import SettingError, TurnContext
from gateway.channels.sentences import SENT_AGAIN
from gateway.retries import LONGEST_WAIT, SHORTEST_WAIT
from interfaces.telegram import Telegram
from interfaces.telegram.request import TelegramRequest
from toolkits import Toolkit, tool

ALICE = seed.ALICE.telegram_id
GROUP = updates.GROUP["id"]
AT = f"@{updates.BOT_USERNAME}"


@pytest.fixture
def bot(telegram: TelegramServer) -> Telegram:
    return Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url)


async def post(
    running: Running, telegram: TelegramServer, update: dict[str, Any], secret: str | None = updates.SECRET_TOKEN
) -> int:
    telegram.api.took(update)
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret.encode()} if secret is not None else {}
    return (await running.client.post("/telegram/webhook", json=update, headers=headers)).status_code


async def said(telegram: TelegramServer, chat: int, count: int = 1) -> list[str]:
    await wait_until_async(lambda: len(telegram.said(chat)) >= count, what=f"{count} answers")
    return telegram.said(chat)


async def test_the_webhook_is_set_at_the_start(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot, base_url="https://bot.example.com"):
        call = telegram.called("setWebhook")[0]
    assert call["url"] == "https://bot.example.com/telegram/webhook"
    assert call["secret_token"] == updates.SECRET_TOKEN
    assert call["allowed_updates"] == ["message"]


@pytest.mark.parametrize("secret", [None, "", "forged", "ä"])
async def test_what_telegram_did_not_send_leaves_no_trace(
    run: Run, bot: Telegram, telegram: TelegramServer, secret: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, updates.private_message("hello"), secret) == 401
        assert running.inbox() == []
    assert "TELEGRAM_WEBHOOK_SECRET" in caplog.text


async def test_a_private_message_is_answered_once_with_no_preview(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        running.answers.append("**bold** <b>not</b> [link](https://a.test/?x=1&y=2)")
        update = updates.private_message("  hello & <you>  ")
        for _ in range(2):
            assert await post(running, telegram, update) == 200
        await post(running, telegram, updates.private_message("next"))
        assert await said(telegram, ALICE, 2) == ["bold <b>not</b> link", "heard"]
        assert running.prompts == ["hello & <you>", "next"]
        sent = telegram.called("sendMessage")[0]
        assert sent["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize(
    ("update", "prompt"),
    [
        (updates.group_mention("hello"), "hello"),
        (updates.group_message(f"🎭🎭 hi {AT} there"), "🎭🎭 hi there"),
        (updates.group_message(f"{AT.upper()} hello"), "hello"),
        (updates.text_mention("hello"), "hello"),
        (updates.command("weather", "in Ulm", chat=updates.GROUP, at_bot=True), "/weather in Ulm"),
        (updates.photo(f"{AT} what is it?", chat=updates.GROUP), "what is it?"),
    ],
    ids=["mention", "after emoji", "other case", "text mention", "command", "caption"],
)
async def test_in_a_group_the_bot_answers_what_is_addressed_to_it(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any], prompt: str
) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, update) == 200
        await said(telegram, GROUP)
        assert running.prompts == [prompt]
        reply = telegram.called("sendMessage")[0]["reply_parameters"]
        assert reply["message_id"] == update["message"]["message_id"]


async def test_a_reply_to_the_bot_is_for_it(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.group_mention("hello"))
        await said(telegram, GROUP)
        await post(running, telegram, updates.reply("and?", telegram.messages(GROUP)[0]))
        await said(telegram, GROUP, 2)
        assert running.prompts == ["hello", "and?"]


async def test_what_is_not_a_new_message_for_the_bot_starts_no_turn(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    private, group = updates.private_message("hello"), updates.group_message("hello, all")
    from_a_bot = updates.group_mention("hello")
    from_a_bot["message"]["from"] = {"id": 5, "is_bot": True, "first_name": "Other"}
    forwarded = updates.as_channel(f"{AT} news")
    forwarded["message"]["is_automatic_forward"] = True
    ignored = [
        group,
        updates.edited(private, "hello!"),
        updates.channel_post(f"{AT} hello"),
        updates.new_chat_members(seed.BOB),
        updates.new_chat_members(),
        updates.my_chat_member(updates.GROUP, "left", "member"),
        updates.callback_query("x", private["message"]),
        updates.group_message("/help@other_bot"),
        updates.group_message("@other_bot hello"),
        updates.photo(chat=updates.GROUP),
        updates.topic_message("hello, topic"),
        from_a_bot,
        forwarded,
    ]
    async with run(bot) as running:
        for update in ignored:
            assert await post(running, telegram, update) == 200
        assert running.inbox() == []


async def test_a_forum_topic_is_answered_in_the_topic(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"{AT} hello", 7))
        await said(telegram, updates.FORUM["id"])
        assert telegram.called("sendMessage")[0]["message_thread_id"] == 7
        assert running.prompts == ["hello"]


async def test_commands(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.command("start"))
        await post(running, telegram, updates.command("help"))
        await post(running, telegram, updates.private_message("the word is walnut"))
        await post(running, telegram, updates.command("new"))
        await post(running, telegram, updates.private_message("which word?"))
        answers = await said(telegram, ALICE, 5)
        assert answers[0].startswith("Hello")
        assert "/new" in answers[1]
        assert "new conversation" in answers[3]
        assert running.prompts == ["the word is walnut", "which word?"]
        assert "walnut" not in str(running.told[-1])


class Account(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def whose(self, context: TurnContext) -> str:
        """Tells whose account it is."""
        return str(await context.credentials("fake", {"read"}))


@pytest.mark.parametrize("update", [updates.anonymous_admin(f"{AT} hello"), updates.as_channel(f"{AT} hello")])
async def test_who_writes_as_a_group_or_a_channel_gets_no_credentials(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any]
) -> None:
    async with run(bot, [Account()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        assert await post(running, telegram, update) == 200
        assert "cannot tell who you are" in (await said(telegram, GROUP))[0]
        assert "reply_markup" not in telegram.called("sendMessage")[0]


async def test_a_photo_alone_gets_one_plain_sentence(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.photo())
        assert await said(telegram, ALICE) == ["I cannot read attachments yet, only text."]
        assert running.prompts == []


async def test_a_rate_limit_is_waited_for(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 429, retry_after=3)
        began = time.monotonic()
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        assert time.monotonic() - began >= 3  # seconds; a retry of the gateway's own would come within two
        assert [call.status for call in telegram.calls if call.method == "sendMessage"] == [429, 200]


@pytest.mark.parametrize("asked", [99999999999999, -7])
async def test_an_impossible_rate_limit_is_bounded(
    run: Run, bot: Telegram, telegram: TelegramServer, asked: int
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", retry_after=asked)
        await post(running, telegram, updates.private_message("hello"))
        await wait_until_async(running.pauses, what="a pause")
        assert [call.status for call in telegram.calls if call.method == "sendMessage"][:1] == [429]


@pytest.mark.parametrize("asked", ['"12"', "NaN", "1e400", "[]", "true"])
def test_a_rate_limit_that_is_no_number_of_seconds_is_one(asked: str) -> None:
    payload = f'{{"ok": false, "parameters": {{"retry_after": {asked}}}}}'
    seconds = TelegramRequest.parse_json_payload(payload.encode())["parameters"]["retry_after"]
    assert SHORTEST_WAIT <= RetryAfter(seconds)._retry_after.total_seconds() <= LONGEST_WAIT


async def test_a_person_who_blocked_the_bot_does_not_hold_up_others(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 403, description="Forbidden: bot was blocked by the user")
        await post(running, telegram, updates.private_message("hello"))
        await wait_until_async(lambda: len(telegram.called("sendMessage")) == 1, what="the refusal")
        await post(running, telegram, updates.private_message("hello", seed.BOB))
        assert await said(telegram, seed.BOB.telegram_id) == ["heard"]
        assert len(telegram.called("sendMessage")) == 2


async def test_a_long_answer_comes_in_parts_in_order(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        running.answers.append(" ".join(f"**{number}** <&>" for number in range(2000)))
        await post(running, telegram, updates.private_message("count"))
        await wait_until_async(lambda: any("1999" in text for text in telegram.said(ALICE)[-1:]), what="the last part")
        assert " ".join(telegram.said(ALICE)) == " ".join(f"{number} <&>" for number in range(2000))


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


@pytest.mark.parametrize(
    ("update", "prompt"),
    [
        (updates.group_message(f"👩‍👩‍👧 é {AT} a {AT} b"), "👩‍👩‍👧 é a b"),
        (updates.group_message(f"say 🎭 {AT}"), "say 🎭"),
        (updates.group_message(f"{AT}\n  two\n\n  lines &amp; <b>"), "two\n\n  lines &amp; <b>"),
        (updates.group_message(f"ask @other_bot, {AT} please"), "ask @other_bot, please"),
        (updates.photo(f"🎭🎭 {AT} what is it?", chat=updates.GROUP), "🎭🎭 what is it?"),
        (updates.private_message(f"who is {AT}?"), "who is ?"),
    ],
    ids=["twice", "last", "lines", "another's", "caption", "private"],
)
async def test_only_the_mention_of_the_bot_is_taken_off(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any], prompt: str
) -> None:
    async with run(bot) as running:
        await post(running, telegram, update)
        await said(telegram, update["message"]["chat"]["id"])
        assert running.prompts == [prompt]


async def test_each_topic_and_each_chat_has_a_history_of_its_own(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"{AT} the word is walnut", 7))
        await said(telegram, updates.FORUM["id"])
        for update in (
            updates.topic_message(f"{AT} which word?", 8),
            updates.group_mention("which word?"),
            updates.private_message("which word?"),
            updates.topic_message(f"{AT} which word?", 7),
        ):
            before = len(running.told)
            await post(running, telegram, update)
            await wait_until_async(lambda count=before: len(running.told) > count, what="the turn")
        assert ["walnut" in str(told) for told in running.told] == [True, False, False, False, True]


async def test_a_command_in_a_group_is_answered_unless_it_is_another_bots(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        for text in ("/start@other_bot", "/new@other_bot", "/weather@other_bot hi"):
            assert await post(running, telegram, updates.group_message(text)) == 200
        assert running.inbox() == []
        await post(running, telegram, updates.group_message(f"/help{AT.upper()}"))
        assert "/new" in (await said(telegram, GROUP))[0]
        assert running.prompts == []


async def test_new_ends_the_history_of_its_own_chat_alone(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("the word is walnut"))
        await said(telegram, ALICE)
        await post(running, telegram, updates.command("new", chat=updates.GROUP, at_bot=True))
        await said(telegram, GROUP)
        await post(running, telegram, updates.private_message("which word?"))
        await said(telegram, ALICE, 2)
        assert "walnut" in str(running.told[-1])


async def test_what_telegram_cannot_do_now_is_tried_again(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", 502)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == ["hello"]


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
async def test_telegram_takes_whatever_the_model_writes(
    run: Run, bot: Telegram, telegram: TelegramServer, answer: str
) -> None:
    async with run(bot) as running:
        running.answers.append(answer)
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        await post(running, telegram, updates.private_message("next"))
        await wait_until_async(lambda: telegram.said(ALICE)[-1] == "heard", what="the next answer")
        assert {call.status for call in telegram.calls if call.method == "sendMessage"} == {200}


async def test_an_address_that_telegram_does_not_take_stops_the_start(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.fail("setWebhook", 400, description="Bad Request: bad webhook: IP address is reserved")
    with pytest.raises(SettingError, match=r"UNDERSTUDY_BASE_URL is 'https://bot\.example\.com'.*reserved"):
        async with run(bot, base_url="https://bot.example.com"):
            pytest.fail("it started")


def test_missing_and_malformed_settings_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "TELEGRAM_API_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"TELEGRAM_BOT_TOKEN is not set.*\nTELEGRAM_WEBHOOK_SECRET is not set"):
        Telegram()
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "hushhush")
    monkeypatch.setenv("TELEGRAM_WEBHOOK_SECRET", "hush hush")
    monkeypatch.setenv("TELEGRAM_API_URL", "telegram.test")
    with pytest.raises(SettingError) as raised:
        Telegram()
    for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "TELEGRAM_API_URL"):
        assert f"{name} is malformed" in str(raised.value)
    assert "hush" not in str(raised.value)


async def test_a_telegram_that_cannot_be_reached_does_not_stop_the_start(run: Run, telegram: TelegramServer) -> None:
    async with run(Telegram(telegram.token, updates.SECRET_TOKEN, "http://127.0.0.1:9")) as running:
        assert (await running.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff"])
async def test_a_body_that_is_no_update_is_refused(run: Run, bot: Telegram, body: bytes) -> None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": updates.SECRET_TOKEN}
    async with run(bot) as running:
        assert (await running.client.post("/telegram/webhook", content=body, headers=headers)).status_code == 400
        assert running.inbox() == []


UNREADABLE = {
    "HTML": "<html><body>Welcome to our network</body></html>",
    "empty": "",
    "null": "null",
    "list": "[]",
    "number": "1",
    "object": "{}",
    "another's": '{"message": "accepted"}',
    "no result": '{"ok": true}',
    "wrong result": '{"ok": true, "result": [1]}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_sent_again_with_a_mark(
    run: Run, bot: Telegram, telegram: TelegramServer, body: str
) -> None:
    """A proxy in between has answered, after Telegram took the message: nothing tells whether it did."""
    async with run(bot) as running:
        telegram.fail("sendMessage", 200, after=True, body=body)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE, 2) == ["heard", f"{SENT_AGAIN}\nheard"]
        assert running.prompts == ["hello"]


@pytest.mark.parametrize(("code", "body"), [(502, '{"error": "bad gateway"}'), (502, "[]"), (504, "<html>")])
async def test_a_failure_that_telegram_does_not_tell_of_is_not_believed(
    run: Run, bot: Telegram, telegram: TelegramServer, code: int, body: str
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", code, after=True, body=body)
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE, 2) == ["heard", f"{SENT_AGAIN}\nheard"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409])
async def test_what_a_proxy_refuses_is_tried_again(
    run: Run, bot: Telegram, telegram: TelegramServer, code: int
) -> None:
    async with run(bot) as running:
        telegram.fail("sendMessage", code, body="<html>not allowed here</html>")
        await post(running, telegram, updates.private_message("hello"))
        assert await said(telegram, ALICE) == ["heard"]


NEW_ID = -1002000000001


@pytest.mark.parametrize("order", [1, -1], ids=["old group first", "new group first"])
async def test_a_group_that_became_a_supergroup_is_answered_there_and_goes_on_with_its_history(
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


async def test_what_is_still_to_be_said_in_a_group_is_said_in_its_supergroup(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    """Telegram tells the new id with the refusal, too."""
    old = updates.BASIC_GROUP
    async with run(bot) as running:
        telegram.api.took(updates.migration(old, NEW_ID)[0])
        await post(running, telegram, updates.group_mention("hello", chat=old))
        assert await said(telegram, NEW_ID) == ["heard"]
        sent = [call["chat_id"] for call in telegram.called("sendMessage")]
        assert sent == [old["id"], NEW_ID]


async def test_what_is_still_to_be_said_in_a_deleted_topic_is_said_in_its_group(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        update = updates.topic_message(f"{AT} hello", 7)
        telegram.fail("sendMessage", 502)
        await post(running, telegram, update)
        await wait_until_async(lambda: telegram.called("sendMessage"), what="the first try")
        telegram.api.delete_topic(updates.FORUM["id"], 7)
        assert await said(telegram, updates.FORUM["id"]) == ["heard"]
        assert "message_thread_id" not in telegram.called("sendMessage")[-1]


UNREAD = "I cannot read attachments yet, only text."


@pytest.mark.parametrize(
    ("captions", "prompts", "answers"),
    [
        ([None, None, None], [], [UNREAD]),
        (["look", None, None], ["look"], [f"heard\n\n{UNREAD}"]),
        ([None, "look", None], ["look"], [UNREAD, f"heard\n\n{UNREAD}"]),
        (["one", "two", None], ["one", "two"], [f"heard\n\n{UNREAD}"] * 2),
    ],
    ids=["no caption", "caption", "later caption", "captions"],
)
async def test_an_album_is_answered_once_and_each_of_its_captions(
    run: Run,
    bot: Telegram,
    telegram: TelegramServer,
    captions: list[str | None],
    prompts: list[str],
    answers: list[str],
) -> None:
    async with run(bot) as running:
        album = updates.album(*captions)
        for update in (*album, *album, *updates.album("next")):
            assert await post(running, telegram, update) == 200
        expected = [*answers, f"heard\n\n{UNREAD}"]
        assert await said(telegram, ALICE, len(expected)) == expected
        assert running.prompts == [*prompts, "next"]


@pytest.mark.parametrize("update", [updates.checklist(), updates.rich_message()], ids=["checklist", "rich message"])
async def test_what_the_library_does_not_know_gets_one_plain_sentence(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any]
) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, update) == 200
        assert await said(telegram, ALICE) == [UNREAD]
        assert running.prompts == []


@pytest.mark.parametrize(
    "fields",
    [
        {"pinned_message": updates.private_message("pinned")["message"]},
        {"checklist_tasks_done": {"marked_as_done_task_ids": [1]}},
        {"message_auto_delete_timer_changed": {"message_auto_delete_time": 86400}},
        {"write_access_allowed": {}},
        {"chat_background_set": {"type": {"type": "chat_theme", "theme_name": "x"}}},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_a_service_message_starts_no_turn(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: dict[str, Any]
) -> None:
    update = updates.private_message("x", **fields)
    del update["message"]["text"]
    async with run(bot) as running:
        assert await post(running, telegram, update) == 200
        assert running.inbox() == []


async def test_a_question_from_a_group_is_answered_in_the_private_chat_and_in_no_topic_of_it(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    orders = Orders()
    topic = {"message_thread_id": 5, "is_topic_message": True}
    async with run(bot, [orders], model=FunctionModel(obey)) as running:
        await post(running, telegram, updates.private_message("hello"))
        await said(telegram, ALICE)
        await post(running, telegram, updates.topic_message(f'{AT} call cancel {{"order":"4711"}}', 7))
        assert "May I do this" in (await said(telegram, ALICE, 2))[1]
        await running.delivered()
        await post(running, telegram, updates.private_message("yes", **topic))
        assert (await said(telegram, ALICE, 3))[2] == "heard: yes"
        assert orders.cancelled == []
        await post(running, telegram, updates.private_message("yes"))
        await wait_until_async(lambda: orders.cancelled == ["4711"], what="it is done")


@pytest.mark.parametrize("status", [200, 502])
async def test_a_page_of_a_proxy_is_neither_in_the_log_nor_stored(
    telegram: TelegramServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    from peers.serving import Received, Receiver
    from starlette.responses import HTMLResponse, Response
    from telegram.error import TelegramError

    def answer(_: Received) -> Response:
        return HTMLResponse("<p>What Alice wrote</p>\n" * 10_000, status_code=status)

    with Receiver() as proxy:
        proxy.answer = answer
        client = Telegram(telegram.token, updates.SECRET_TOKEN, proxy.url)._client
        with pytest.raises(TelegramError) as raised:
            await client.send_message(1, "hello")
        await client.shutdown()
    error: BaseException | None = raised.value
    while error is not None:
        assert "Alice" not in repr(error)
        error = error.__cause__ or error.__context__
    assert caplog.text.count("\n") < 20
    assert "Alice" not in caplog.text
