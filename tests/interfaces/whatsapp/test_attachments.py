"""Media that people send in WhatsApp reach the model: https://www.twilio.com/docs/messaging/guides/webhook-request"""

from base64 import b64encode

import pytest
from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import post, said
from support.files import PDF

from interfaces.whatsapp import WhatsApp

pytestmark = pytest.mark.long


def media(emulate: Emulate, *media_types: str) -> dict[str, str]:
    """Return media at the stand-in for Twilio: the media type of each, by its URL."""
    return {f"{emulate.twilio_url}/media/{number}": kind for number, kind in enumerate(media_types, 1)}


async def test_a_document_is_fetched_with_the_credentials_of_the_account(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    emulate.twilio.fail("/media/1", 200, headers={"Content-Type": "text/plain"}, body="milk, eggs")
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("what to buy?", media=media(emulate, "text/plain")))
        assert await said(emulate) == ["heard"]
        assert running.prompts == ["what to buy?\n\n[document]\nmilk, eggs\n[end of document]"]
    basic = b64encode(f"{emulate.account_sid}:{emulate.auth_token}".encode()).decode()
    assert [call.authorization for call in emulate.twilio.calls("/media/1")] == [f"Basic {basic}"]


async def test_a_later_message_reaches_the_model_with_the_document(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    headers = {"Content-Type": "application/pdf"}
    emulate.twilio.fail("/media/1", 200, headers=headers, body=PDF.decode(), times=2)
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("how much?", media=media(emulate, "application/pdf")))
        await said(emulate)
        await post(running, webhook.inbound("and now?"))
        await said(emulate, 2)
        assert running.files == [(PDF, "application/pdf")] * 2


async def test_all_media_of_a_message_are_one_message(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    for number, text in enumerate(("one", "two", "three"), 1):
        emulate.twilio.fail(f"/media/{number}", 200, headers={"Content-Type": "text/plain"}, body=text)
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("", media=media(emulate, *["text/plain"] * 3)))
        assert await said(emulate) == ["heard"]
        sections = [f"[document]\n{text}\n[end of document]" for text in ("one", "two", "three")]
        assert running.prompts == ["\n\n".join(sections)]


async def test_a_location_reaches_the_model_as_text(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    place = {"Latitude": "48.4", "Longitude": "10.0", "Address": "Ulm", "Label": "Minster"}
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("", **place))
        assert await said(emulate) == ["heard"]
        assert running.prompts == ["[location]\nMinster, Ulm, latitude 48.4, longitude 10.0\n[end of location]"]


@pytest.mark.parametrize(
    ("media_type", "title"),
    [
        ("image/jpeg", "image"),
        ("audio/ogg; codecs=opus", "voice"),
        ("audio/mpeg", "audio"),
        ("video/mp4", "video"),
        ("text/vcard", "contact"),
        ("application/pdf", "document"),
        ("", "document"),
    ],
)
async def test_media_that_twilio_no_longer_has_are_named(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, media_type: str, title: str
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("look", media=media(emulate, media_type)))
        (answer,) = await said(emulate)
        assert answer == f"heard\n\nI could not read the {title}: The {title} is no longer at Twilio."


async def test_media_at_other_addresses_are_not_fetched(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("look", media={"http://169.254.169.254/latest": "image/png"}))
        (answer,) = await said(emulate)
        assert answer.endswith("The image was not fetched: its address does not belong to Twilio.")
