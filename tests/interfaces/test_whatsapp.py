from typing import Any

import pytest
from interfaces_run import URL, Run, Running
from peers import seed
from peers import twilio_webhook as webhook
from peers.emulate import Emulate
from peers.wait import wait_until_async

from gateway import SettingError
from interfaces.whatsapp import WhatsApp

PATH = "/whatsapp/webhook"


@pytest.fixture
def whatsapp(emulate: Emulate) -> WhatsApp:
    return WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)


async def post(running: Running, form: dict[str, str], path: str = PATH, signature: Any = None) -> Any:
    signature = webhook.sign(URL + path, form) if signature is None else signature
    return await running.client.post(path, data=form, headers={"X-Twilio-Signature": signature})


async def said(emulate: Emulate, count: int = 1) -> list[str]:
    await wait_until_async(lambda: len(emulate.whatsapp_messages("alice")) >= count, what=f"{count} answers")
    return [message["body"] for message in emulate.whatsapp_messages("alice")]


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


async def test_the_signature_covers_the_query(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("hello"), f"{PATH}?a=1&b=2")).status_code == 200
        assert await said(emulate) == ["heard"]


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
