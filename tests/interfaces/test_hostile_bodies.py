"""Signed bodies that no platform documents are refused or ignored, and cause no error."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from peers.webhooks import twilio_webhook
from support.channels.running import URL, Run, Running

from interfaces.chatkit import ChatKit, Person
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.web import Web
from interfaces.whatsapp import WhatsApp

pytestmark = pytest.mark.long

# None of them is a valid JSON object.
BROKEN = {
    "nothing": b"",
    "an array": b"[]",
    "null": b"null",
    "deep arrays": b"[" * 5000,
    "deep objects": b'{"a":' * 5000,
    "a deep field": b'{"type":"event_callback","event":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a number of 5,000 digits": b'{"update_id":' + b"1" * 5000 + b"}",
    "NaN": b'{"update_id":NaN}',
    "-Infinity": b'{"type":-Infinity}',
    "no UTF-8": b'{"type":"\xff\xfe"}',
    "UTF-16": '{"type":1}'.encode("utf-16"),
    "a form": b"type=event_callback&event=x",
    "half": b'{"type":"event_callback","event":{',
}


def signed(body: bytes) -> dict[str, dict[str, str]]:
    """Return, for each route that takes JSON, the headers that make a body valid."""
    return {
        "/slack/events": events.headers(body),
        "/telegram/webhook": {"X-Telegram-Bot-Api-Secret-Token": updates.SECRET_TOKEN},
        "/web/alice/messages": {},
        "/chatkit": {"content-type": "application/json"},
    }


async def nobody_asks(_: Any) -> Person:
    return Person("alice")


def channels(emulate: Emulate, telegram: TelegramServer) -> dict[str, Callable[[], Any]]:
    return {
        "/slack/events": lambda: Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url),
        "/telegram/webhook": lambda: Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url),
        "/web/alice/messages": Web,
        "/chatkit": lambda: ChatKit(nobody_asks),
    }


@pytest.mark.parametrize("route", signed(b""))
async def test_a_body_that_is_not_a_json_object_is_refused(
    run: Run, emulate: Emulate, telegram: TelegramServer, route: str
) -> None:
    async with run(channels(emulate, telegram)[route]()) as running:
        if route.startswith("/web"):
            await running.client.get("/web/alice/")  # gives the cookie
        for name, body in BROKEN.items():
            answer = await running.client.post(route, content=body, headers=signed(body)[route])
            assert answer.status_code in (400, 401), name  # 401: a body that is not UTF-8 cannot be signed
        assert running.inbox() == []


def changed(payload: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a payload in which a field has another value, or is missing for `...`."""
    whole: dict[str, Any] = json.loads(json.dumps(payload))
    *names, last = path.split(".")
    inner: Any = whole
    for name in names:
        inner = inner[int(name) if name.isdecimal() else name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return whole


WRONG = [..., None, 5, -1, 1.5, True, "", "\0", "\ud800", "x" * 5000, [], {}, [None], {"id": []}, 10**30]


@pytest.mark.parametrize(
    "path",
    ["event", "event.type", "event.subtype", "event.user", "event.channel", "event.ts", "event.text", "event.thread_ts",
     "event.files", "event.user_team", "event.channel_type", "event_id", "team_id", "context_team_id",
     "authorizations", "authorizations.0", "authorizations.0.user_id", "type"],
)  # fmt: skip
async def test_a_slack_event_with_a_wrong_field_fails_nothing(run: Run, emulate: Emulate, path: str) -> None:
    async with run(Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)) as running:
        good = events.direct_message("hello", channel=emulate.slack_dm("alice"), thread_ts="1.1", user_team="T1")
        good["event"] |= {"subtype": None, "files": []}
        for value in WRONG:
            if path == "authorizations.0":
                payload = changed(good, "authorizations", [value] if value is not ... else [])
            else:
                payload = changed(good, path, value)
            body = json.dumps(payload | ({"event_id": events.ts()} if path != "event_id" else {})).encode()
            answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
            assert answer.status_code in (200, 400), value
        await nothing_is_left(running)


@pytest.mark.parametrize(
    "path",
    ["type", "user", "user.id", "user.team_id", "user.name", "team", "team.id", "enterprise", "channel", "channel.id",
     "message", "message.ts", "message.thread_ts", "actions", "actions.0", "actions.0.action_id", "actions.0.value",
     "actions.0.type", "response_url"],
)  # fmt: skip
async def test_a_press_in_slack_with_a_wrong_field_fails_nothing(run: Run, emulate: Emulate, path: str) -> None:
    async with run(Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)) as running:
        good = interactions.block_actions(interactions.button("question.0", "abc"), thread_ts="1.1")
        for value in WRONG:
            if path == "actions.0":
                payload = changed(good, "actions", [value] if value is not ... else [])
            else:
                payload = changed(good, path, value)
            body = interactions.body_of(payload)
            answer = await running.client.post("/slack/interactivity", content=body, headers=interactions.headers(body))
            assert answer.status_code in (200, 400), value


async def test_a_payload_of_slack_that_is_not_a_json_object_is_refused(run: Run, emulate: Emulate) -> None:
    async with run(Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)) as running:
        for name, broken in BROKEN.items():
            body = urlencode({"payload": broken}).encode()
            answer = await running.client.post("/slack/interactivity", content=body, headers=interactions.headers(body))
            # In a form, a body that is not UTF-8 is decoded with replacement characters, and is then valid JSON.
            assert answer.status_code == (200 if name == "no UTF-8" else 400), name


@pytest.mark.parametrize(
    "path",
    ["id", "from", "from.id", "from.is_bot", "from.first_name", "message", "message.message_id", "message.chat",
     "message.chat.id", "message.date", "message.is_topic_message", "message.message_thread_id", "data",
     "chat_instance", "inline_message_id"],
)  # fmt: skip
async def test_a_press_in_telegram_with_a_wrong_field_fails_nothing(
    run: Run, telegram: TelegramServer, path: str
) -> None:
    async with run(Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url)) as running:
        message = updates.group_message("May I?")["message"]
        good = updates.callback_query("q:abc:0", message | {"is_topic_message": True, "message_thread_id": 1})
        good["callback_query"]["inline_message_id"] = "1"
        for value in WRONG:
            body = json.dumps(changed(good, f"callback_query.{path}", value)).encode()
            answer = await running.client.post(
                "/telegram/webhook", content=body, headers=signed(body)["/telegram/webhook"]
            )
            assert answer.status_code in (200, 400), value


@pytest.mark.parametrize(
    "path",
    ["update_id", "message", "message.message_id", "message.date", "message.chat", "message.chat.id",
     "message.chat.type", "message.from", "message.from.id", "message.from.first_name", "message.from.is_bot",
     "message.text", "message.entities", "message.entities.0.offset", "message.entities.0.length",
     "message.entities.0.type", "message.reply_to_message", "message.message_thread_id", "message.sender_chat",
     "message.photo", "message.poll", "message.quote", "message.is_topic_message"],
)  # fmt: skip
async def test_an_update_of_telegram_with_a_wrong_field_fails_nothing(
    run: Run, telegram: TelegramServer, path: str
) -> None:
    async with run(Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url)) as running:
        for value in WRONG:
            good = updates.command("start", "hello")
            good["message"] |= {"reply_to_message": None, "message_thread_id": 1, "sender_chat": None, "photo": []}
            good["message"] |= {"poll": None, "quote": None, "is_topic_message": False}
            body = json.dumps(changed(good, path, value)).encode()
            answer = await running.client.post(
                "/telegram/webhook", content=body, headers=signed(body)["/telegram/webhook"]
            )
            assert answer.status_code in (200, 400), value
        await nothing_is_left(running)


POLL = {
    "id": "1",
    "question": "Tea?",
    "options": [{"text": "yes", "voter_count": 0}],
    "total_voter_count": 0,
    "is_closed": False,
    "is_anonymous": True,
    "type": "regular",
    "allows_multiple_answers": False,
}


async def test_a_message_with_a_poll_of_another_version_of_the_bot_api_is_answered(
    run: Run, telegram: TelegramServer
) -> None:
    """Leave out fields that python-telegram-bot demands, and that an operator's own Bot API server may not have yet."""
    async with run(Telegram(telegram.token, updates.SECRET_TOKEN, telegram.url)) as running:
        headers = signed(b"")["/telegram/webhook"]
        asked = updates.private_message("poll")["message"]
        del asked["text"]
        alone = {"update_id": 1, "message": asked | {"poll": POLL}}
        about = updates.reply("what do you think?", asked | {"poll": POLL})
        telegram.api.took(about)
        for update in (alone, {"update_id": 2, "poll": POLL}, {"update_id": 3, "poll_answer": {"poll_id": "1"}}, about):
            assert (await running.client.post("/telegram/webhook", json=update, headers=headers)).status_code == 200
        chat = seed.ALICE.telegram_id
        await wait_until_async(lambda: telegram.said(chat) == ["heard"], what="the reply is answered")
        assert running.prompts == ["what do you think?"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("NumMedia", "9" * 5000), ("NumMedia", "99999999999"), ("NumMedia", "-1"), ("NumMedia", "٣"), ("NumMedia", "x"),
     ("Body", "a\0b"), ("ProfileName", "\0"), ("From", "whatsapp:+1555\0"), ("From", "whatsapp:"), ("MessageSid", "\0"),
     ("MessageSid", "S" * 2000), ("Latitude", "\0"), ("MediaContentType0", "\0")],
)  # fmt: skip
async def test_a_form_of_twilio_with_a_wrong_field_fails_nothing(
    run: Run, emulate: Emulate, field: str, value: str
) -> None:
    whatsapp = WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)
    async with run(whatsapp) as running:
        form = twilio_webhook.inbound("hello") | {field: value}
        headers = {"X-Twilio-Signature": twilio_webhook.sign(f"{URL}/whatsapp/webhook", form)}
        began = time.monotonic()
        answer = await running.client.post("/whatsapp/webhook", data=form, headers=headers)
        assert answer.status_code in (200, 400)
        await nothing_is_left(running)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "params",
    [{"limit": -1}, {"limit": 0}, {"limit": 10**30}, {"limit": 10**9}, {"limit": "5"}, {"limit": 1.5}, {"after": "\0"},
     {"after": 5}, {"after": "x" * 5000}, {"order": "\0"}, {"thread_id": "\0"}, {"thread_id": "\ud800"},
     {"thread_id": 5}, {"item_id": "\0"}, {"title": "x" * 100_000}, {"title": 5}, {"input": 5}, []],
    ids=lambda params: ascii(params)[:40],
)  # fmt: skip
async def test_a_request_of_chatkit_out_of_range_is_refused(run: Run, params: Any) -> None:
    async with run(ChatKit(nobody_asks)) as running:
        for kind in ("threads.list", "items.list", "threads.get_by_id", "threads.update", "threads.retry_after_item",
                     "threads.create", "threads.add_user_message", "threads.delete"):  # fmt: skip
            given = {"thread_id": "thr_1", **params} if isinstance(params, dict) else params
            body = json.dumps({"type": kind, "params": given}).encode()
            answer = await running.client.post("/chatkit", content=body, headers=signed(body)["/chatkit"])
            assert answer.status_code in (200, 400, 404), kind
        assert (await running.client.post("/chatkit", json={"type": "x" * 10_000})).status_code == 400


async def test_an_unknown_provider_is_not_found(run: Run) -> None:
    async with run(Web()) as running:
        await running.client.get("/web/alice/")
        for provider in ("google", "%00", "x" * 2000):
            assert (await running.client.get(f"/web/alice/sign-in/{provider}")).status_code == 404


async def nothing_is_left(running: Running) -> None:
    """Wait until every accepted message is done, be it answered or without anything to answer."""

    def ended() -> bool:
        return {status for (status,) in running.inbox()} <= {"done"}

    await wait_until_async(ended, what="every message is done")
