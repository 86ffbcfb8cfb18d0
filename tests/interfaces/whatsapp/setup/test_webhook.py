"""The webhook of a sender at Twilio is compared at the start, and set if there is none."""

import logging

import pytest
from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import PATH, SERVICE, post, said

from interfaces.whatsapp import WhatsApp

SENDER = "XE" + "1" * 32
PUBLIC = "https://bot.test"


async def test_a_sender_without_a_webhook_gets_this_one(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    emulate.twilio_sender("XE" + "2" * 32, "whatsapp:+15550009999", callback_url=None)
    emulate.twilio_sender(SENDER, emulate.whatsapp_number, callback_url=None, status_callback_url="https://a.test/s")
    async with run(whatsapp, base_url=PUBLIC):
        other, ours = emulate.twilio_senders()
    assert other["webhook"] == {"callback_url": None}
    assert ours["webhook"] == {
        "callback_url": f"{PUBLIC}{PATH}#rc=5&rp=all",
        "callback_method": "POST",
        "status_callback_url": "https://a.test/s",
    }
    assert ours["profile"] == {"name": "Bot"}


@pytest.mark.parametrize(
    ("webhook", "warned"),
    [
        ({"callback_url": f"{PUBLIC}{PATH}#rc=5&rp=all", "callback_method": "POST"}, False),
        ({"callback_url": f"{PUBLIC}{PATH}"}, False),
        ({"callback_url": f"{PUBLIC}{PATH}", "callback_method": "GET"}, True),
        ({"callback_url": "https://old.test/whatsapp", "callback_method": "POST"}, True),
    ],
    ids=["same", "same without retries", "GET", "another"],
)
async def test_another_webhook_is_logged_and_never_overwritten(
    run: Run,
    whatsapp: WhatsApp,
    emulate: Emulate,
    caplog: pytest.LogCaptureFixture,
    webhook: dict[str, str],
    warned: bool,
) -> None:
    emulate.twilio_sender(SENDER, emulate.whatsapp_number, **webhook)
    async with run(whatsapp, base_url=PUBLIC):
        assert emulate.twilio_senders()[0]["webhook"] == webhook
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    found = [line for line in lines if line.startswith("Twilio calls")]
    assert len(found) == warned
    if warned:
        assert webhook["callback_url"] in found[0]
        assert f"{PUBLIC}{PATH}" in found[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"use_inbound_webhook_on_number": True}, "leaves webhooks to its senders"),
        ({"inbound_request_url": "https://old.test", "inbound_method": "POST"}, "Twilio calls https://old.test (POST)"),
        ({"inbound_request_url": None, "inbound_method": "POST"}, "Twilio calls no address (POST)"),
    ],
    ids=["by sender", "another", "none"],
)
async def test_the_webhook_of_a_service_is_checked(
    run: Run,
    service: WhatsApp,
    emulate: Emulate,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, object],
    said: str,
) -> None:
    caplog.set_level(logging.INFO)
    emulate.twilio_service(SERVICE, **fields)
    async with run(service, base_url=PUBLIC):
        assert said in caplog.text
        assert f"{PUBLIC}{PATH}" in caplog.text


async def test_the_gateway_starts_if_twilio_does_not_tell_the_webhook(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with run(whatsapp):
        assert "Twilio's API does not show the webhook" in caplog.text
    emulate.twilio.fail("/v2/Channels/Senders", 500)
    async with run(whatsapp) as running:
        assert "Twilio did not tell which webhook" in caplog.text
        await post(running, webhook.inbound("hello"))
        assert await said(emulate) == ["heard"]
