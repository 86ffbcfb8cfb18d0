from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from interfaces_run import URL, Run, Running
from peers import seed
from peers import twilio_webhook as webhook
from peers.control import Call
from peers.emulate import Emulate
from peers.wait import wait_until_async

from gateway import SettingError
from gateway.channels.live import Steps
from interfaces.whatsapp import WhatsApp

PATH = "/whatsapp/webhook"
MESSAGES = f"/2010-04-01/Accounts/{seed.TWILIO_ACCOUNT_SID}/Messages.json"


@pytest.fixture
def whatsapp(emulate: Emulate) -> WhatsApp:
    return WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)


async def post(running: Running, form: dict[str, str], path: str = PATH, signature: Any = None) -> Any:
    signature = webhook.sign(URL + path, form) if signature is None else signature
    return await running.client.post(path, data=form, headers={"X-Twilio-Signature": signature})


async def said(emulate: Emulate, count: int = 1) -> list[str]:
    await wait_until_async(lambda: len(emulate.whatsapp_messages("alice")) >= count, what=f"{count} answers")
    return [message["body"] for message in emulate.whatsapp_messages("alice")]


def sends(emulate: Emulate) -> list[Call]:
    return [call for call in emulate.twilio.calls(MESSAGES) if call.method == "POST"]


async def test_a_message_is_answered_once_from_the_number_it_came_to(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        running.answers.append("**bold** and [a link](https://a.test)")
        form = webhook.inbound("  hello & you  ")
        for _ in range(2):
            answer = await post(running, form)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/xml")
        await post(running, webhook.inbound("next"))
        assert await said(emulate, 2) == ["*bold* and a link (https://a.test)", "heard"]
        assert running.prompts == ["hello & you", "next"]
        assert emulate.whatsapp_messages("alice")[0]["from"] == emulate.whatsapp_number


async def test_a_new_conversation_begins(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        for number, text in enumerate(("apples", "pears", "/New", "plums"), 1):
            await post(running, webhook.inbound(text))
            await said(emulate, number)
        assert [len(messages) for messages in running.told] == [1, 3, 1]


async def test_the_signature_covers_the_query(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("hello"), f"{PATH}?a=1&b=2")).status_code == 200
        assert await said(emulate) == ["heard"]


async def test_the_person_sees_that_the_bot_types(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    """The server knows no typing indicators: what is asked of it is as Twilio documents it."""
    path = "/v2/Indicators/Typing.json"
    emulate.twilio.fail(path, 201, body={"success": True})
    async with run(whatsapp):
        form = webhook.inbound("hello")
        message = await whatsapp.parse(urlencode(form))
        assert message is not None
        view = whatsapp.presenter.live_view(message)
        assert view is not None
        await view.update(Steps())
        await view.close()
        (call,) = emulate.twilio.calls(path)
        assert call.params == {"channel": "whatsapp", "messageId": form["MessageSid"]}


async def test_what_twilio_did_not_sign_leaves_no_trace(run: Run, whatsapp: WhatsApp) -> None:
    another = webhook.sign(URL + PATH, webhook.inbound("another"))
    async with run(whatsapp) as running:
        for signature in ("", "forged", "ä".encode(), another):
            assert (await post(running, webhook.inbound("hello"), signature=signature)).status_code == 403
        bytes_that_are_no_text = await running.client.post(PATH, content=b"\xff\xfe=\xff")
        assert bytes_that_are_no_text.status_code == 403
        assert running.inbox() == []


async def test_what_is_not_a_message_to_this_number_starts_no_turn(run: Run, whatsapp: WhatsApp) -> None:
    ignored = [
        webhook.status_callback(webhook.message_sid()),
        webhook.inbound("hello", to="whatsapp:+15550009999"),
        webhook.inbound(""),
    ]
    async with run(whatsapp) as running:
        for form in ignored:
            assert (await post(running, form)).status_code == 200
        assert running.inbox() == []


@pytest.mark.parametrize(
    "addresses",
    [
        {"From": seed.ALICE.phone, "To": seed.WHATSAPP_NUMBER},
        {"From": f"whatsapp:{seed.ALICE.phone}", "To": seed.WHATSAPP_NUMBER.removeprefix("whatsapp:")},
        {"From": seed.ALICE.phone, "To": seed.WHATSAPP_NUMBER.removeprefix("whatsapp:")},
        {"From": f"rcs:{seed.ALICE.phone}", "To": seed.WHATSAPP_NUMBER},
        {"From": "whatsapp:", "To": seed.WHATSAPP_NUMBER},
    ],
    ids=["from SMS", "to SMS", "SMS", "RCS", "nobody"],
)
async def test_what_did_not_come_by_whatsapp_is_not_taken_for_a_person_there(
    run: Run, whatsapp: WhatsApp, addresses: dict[str, str]
) -> None:
    """Twilio signs the SMS of a number that has both in the same way."""
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("yes", **addresses))).status_code == 200
        assert running.inbox() == []


async def test_a_person_without_a_phone_number_is_answered(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    """The server knows no business-scoped ids and refuses the answer; what it is asked for is as Twilio documents it:

    https://www.twilio.com/en-us/changelog/whatsapp-bsuid-format-in-conversations-and-webhook-fields
    """
    address = "whatsapp:US.13491208655302741918"
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("hello", From=address))).status_code == 200
        await wait_until_async(lambda: sends(emulate), what="the answer")
        assert sends(emulate)[0].params["To"] == address
        assert running.prompts == ["hello"]


async def test_a_picture_alone_gets_one_plain_sentence_and_its_caption_an_answer(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        media = {"https://api.twilio.com/media/1": "image/jpeg"}
        await post(running, webhook.inbound("", media=media))
        await post(running, webhook.inbound("what is it?", media=media))
        answers = await said(emulate, 2)
        assert answers[0] == "I cannot read attachments yet, only text."
        assert answers[1].startswith("heard")
        assert running.prompts == ["what is it?"]


async def test_a_long_answer_comes_in_parts_in_order(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        words = " ".join(str(number) for number in range(1000))
        running.answers.append(words)
        await post(running, webhook.inbound("count"))
        parts = await said(emulate, 3)
        assert " ".join(parts) == words
        assert all(len(part) <= 1600 for part in parts)


async def test_without_a_public_address_it_does_not_start(
    run: Run, whatsapp: WhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_BASE_URL", raising=False)
    with pytest.raises(SettingError, match="UNDERSTUDY_BASE_URL is not set"):
        async with run(whatsapp, base_url=None):
            pytest.fail("it started")


def test_settings_that_are_missing_or_malformed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError) as missing:
        WhatsApp()
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM"):
        assert f"{name} is not set" in str(missing.value)
    with pytest.raises(SettingError, match="TWILIO_WHATSAPP_FROM is malformed \\(found '12'\\)") as malformed:
        WhatsApp(seed.TWILIO_ACCOUNT_SID, "hushhush", "12")
    assert "hush" not in str(malformed.value)


async def test_a_rate_limit_is_waited_for_and_the_answer_sent_once(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        limited = {"code": 20429, "message": "Too Many Requests", "status": 429}
        emulate.twilio.fail(MESSAGES, 429, method="POST", headers={"Retry-After": "1"}, body=limited)
        await post(running, webhook.inbound("hello"))
        assert await said(emulate) == ["heard"]
        assert [call.status for call in sends(emulate)] == [429, 201]
        assert running.prompts == ["hello"]


@pytest.mark.parametrize("asked", ["99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_impossible_rate_limit_is_bounded(run: Run, whatsapp: WhatsApp, emulate: Emulate, asked: str) -> None:
    async with run(whatsapp) as running:
        limited = {"code": 20429, "message": "Too Many Requests", "status": 429}
        emulate.twilio.fail(MESSAGES, 429, method="POST", headers={"Retry-After": asked}, body=limited)
        await post(running, webhook.inbound("hello"))
        await wait_until_async(running.pauses, what="a pause")
        until = datetime.fromisoformat(running.pauses()[0][0]).replace(tzinfo=UTC)
        assert timedelta(minutes=50) < until - datetime.now(UTC) <= timedelta(hours=1)


@pytest.mark.parametrize("after", [True, False], ids=["taken", "not taken"])
async def test_an_answer_that_twilio_did_not_acknowledge_is_looked_up(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, after: bool
) -> None:
    async with run(whatsapp) as running:
        emulate.twilio.fail(MESSAGES, 500, method="POST", after=after)
        await post(running, webhook.inbound("one"))
        await wait_until_async(
            lambda: [call for call in emulate.twilio.calls(MESSAGES) if call.method == "GET"], what="Twilio is asked"
        )
        assert await said(emulate) == ["heard"]
        await post(running, webhook.inbound("two"))
        assert await said(emulate, 2) == ["heard", "heard"]
        assert len(sends(emulate)) == (2 if after else 3)


UNREADABLE = {
    "HTML": "<html><body>Welcome to our network</body></html>",
    "empty": "",
    "cut off": '{"sid": "SM',
    "list": "[1]",
    "null": "null",
    "number": "1",
    "object": '{"accepted": true}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("after", [True, False], ids=["taken", "not taken"])
async def test_an_answer_that_cannot_be_read_is_looked_up(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, body: str, after: bool
) -> None:
    """A proxy in between has answered: whether Twilio took the message, it alone tells."""
    async with run(whatsapp) as running:
        emulate.twilio.fail(MESSAGES, 200, method="POST", body=body, after=after)
        await post(running, webhook.inbound("one"))
        await wait_until_async(
            lambda: [call for call in emulate.twilio.calls(MESSAGES) if call.method == "GET"], what="Twilio is asked"
        )
        assert await said(emulate) == ["heard"]
        await post(running, webhook.inbound("two"))
        assert await said(emulate, 2) == ["heard", "heard"]
        assert len(sends(emulate)) == (2 if after else 3)


@pytest.mark.parametrize("status", [302, 403, 407])
async def test_what_a_proxy_refuses_is_sent_again(run: Run, whatsapp: WhatsApp, emulate: Emulate, status: int) -> None:
    async with run(whatsapp) as running:
        emulate.twilio.fail(MESSAGES, status, method="POST", body="<html>not allowed here</html>")
        await post(running, webhook.inbound("hello"))
        assert await said(emulate) == ["heard"]


@pytest.mark.parametrize("status", ["failed", "undelivered"])
async def test_a_message_that_twilio_could_not_deliver_does_not_count_as_sent(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, status: str
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("one"))
        await said(emulate)
        emulate.whatsapp_status(emulate.whatsapp_messages("alice")[0]["sid"], status)
        emulate.twilio.fail(MESSAGES, 500, method="POST")
        await post(running, webhook.inbound("two"))
        assert await said(emulate, 2) == ["heard", "heard"]


async def test_a_refused_answer_does_not_hold_up_the_next(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        outside_the_window = {"code": 63016, "message": "outside the allowed window", "status": 400}
        emulate.twilio.fail(MESSAGES, 400, method="POST", body=outside_the_window)
        running.answers += ["refused", "taken"]
        for text in ("one", "two"):
            await post(running, webhook.inbound(text))
        assert await said(emulate) == ["taken"]
        assert len(sends(emulate)) == 2


@pytest.mark.parametrize("status", ["queued", "sent", "delivered", "read", "failed", "undelivered"])
async def test_what_became_of_an_answer_is_not_a_message(run: Run, whatsapp: WhatsApp, status: str) -> None:
    async with run(whatsapp) as running:
        sid = webhook.message_sid()
        to_us = {"Body": "hello", "To": seed.WHATSAPP_NUMBER, "From": f"whatsapp:{seed.ALICE.phone}"}
        for form in (webhook.status_callback(sid, status), webhook.status_callback(sid, status, **to_us)):
            assert (await post(running, form)).status_code == 200
        bare = webhook.inbound("hello", SmsStatus=status)
        assert (await post(running, bare)).status_code == 200
        assert running.inbox() == []


async def test_an_unsigned_and_a_tampered_request_leave_no_trace(run: Run, whatsapp: WhatsApp) -> None:
    form = webhook.inbound("transfer it to Bob")
    async with run(whatsapp) as running:
        assert (await running.client.post(PATH, data=form)).status_code == 403
        signed = {"X-Twilio-Signature": webhook.sign(URL + PATH, form)}
        for changed in (form | {"Body": "transfer it to Eve"}, form | {"From": "whatsapp:+15550000002"}):
            assert (await running.client.post(PATH, data=changed, headers=signed)).status_code == 403
        elsewhere = {"X-Twilio-Signature": webhook.sign("https://other.test" + PATH, form)}
        assert (await running.client.post(PATH, data=form, headers=elsewhere)).status_code == 403
        assert running.inbox() == []


async def test_the_signature_is_of_the_public_address_whatever_a_proxy_makes_of_it(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    public = "https://bot.example.com"
    async with run(whatsapp, base_url=public) as running:
        form = webhook.inbound("hello")
        assert (await post(running, form, signature=webhook.sign(URL + PATH, form))).status_code == 403
        assert running.inbox() == []
        assert f"another address for the webhook than '{public + PATH}'" in caplog.text
        assert "UNDERSTUDY_BASE_URL" in caplog.text
        assert (await post(running, form, signature=webhook.sign(public + PATH, form))).status_code == 200
        assert await said(emulate) == ["heard"]


async def test_each_person_has_a_conversation_of_their_own(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("the word is walnut"))
        await said(emulate)
        await post(running, webhook.inbound("which word?", seed.BOB))
        await wait_until_async(lambda: emulate.whatsapp_messages("bob"), what="an answer to Bob")
        await post(running, webhook.inbound("which word?"))
        await said(emulate, 2)
        assert ["walnut" in str(told) for told in running.told] == [True, False, True]


async def test_the_text_reaches_the_model_as_it_was_written(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    text = "a+b=c & 100% <b> 🎭\n\n  line two; ü"
    async with run(whatsapp) as running:
        await post(running, webhook.inbound(text))
        await said(emulate)
        assert running.prompts == [text]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("", "hushhush", seed.WHATSAPP_NUMBER), "TWILIO_ACCOUNT_SID"),
        ((seed.TWILIO_ACCOUNT_SID, "", seed.WHATSAPP_NUMBER), "TWILIO_AUTH_TOKEN"),
        ((seed.TWILIO_ACCOUNT_SID, "hushhush", seed.WHATSAPP_NUMBER, "http://twilio.test"), "TWILIO_API_URL"),
    ],
)
def test_a_setting_that_would_let_anyone_in_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], named: str
) -> None:
    monkeypatch.delenv(named, raising=False)
    with pytest.raises(SettingError, match=f"{named} is") as raised:
        WhatsApp(*given)
    assert "hush" not in str(raised.value)
