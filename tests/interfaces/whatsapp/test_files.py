"""Files that the bot sends to chats: Twilio downloads each from a URL of the gateway."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import MESSAGES, URL, post, said, sends
from support.files import PDF, PNG

from gateway import File
from interfaces.whatsapp import WhatsApp
from toolkits import Conversation, ToolError

CHAT = Conversation("whatsapp", seed.WHATSAPP_NUMBER.removeprefix("whatsapp:"), seed.ALICE.phone, shared=False)


async def test_each_file_is_a_message_whose_address_gives_its_bytes(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("hello"))
        await said(emulate)
        await running.gateway.send(CHAT, "**both**", files=[File(PNG, name="cat.png"), File(PDF, name="a.pdf")])
        await said(emulate, 3)
        first, second = [dict(parse_qsl(call.body)) for call in sends(emulate)][1:]
        fetched = [await running.client.get(urlsplit(form["MediaUrl"]).path) for form in (first, second)]
    assert (first["Body"], second.get("Body", "")) == ("*both*", "")
    assert [answer.content for answer in fetched] == [PNG, PDF]
    assert [answer.headers["content-type"] for answer in fetched] == ["image/png", "application/pdf"]
    assert first["MediaUrl"].startswith(URL)
    assert first["MediaUrl"].endswith("/cat.png")


async def test_a_text_with_a_document_is_a_separate_message(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    """Send a text with a document, with which WhatsApp shows no caption."""
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("hello"))
        await said(emulate)
        await running.gateway.send(CHAT, "the bill", files=[File(PDF, name="a.pdf")])
        await said(emulate, 3)
        forms = [dict(parse_qsl(call.body)) for call in sends(emulate)][1:]
    assert [(form.get("Body", ""), "MediaUrl" in form) for form in forms] == [("the bill", False), ("", True)]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (File(b"PK", name="all.zip"), "WhatsApp takes pictures"),
        (File(bytes(6 * 2**20), name="cat.png"), "up to 5 MB"),
        (File(bytes(17 * 2**20), name="film.mp4"), "other files of up to 16 MB"),
    ],
    ids=["type", "picture", "film"],
)
async def test_a_file_that_whatsapp_does_not_accept_is_refused_before_it_is_sent(
    run: Run, whatsapp: WhatsApp, file: File, reason: str
) -> None:
    async with run(whatsapp) as running:
        with pytest.raises(ToolError, match=reason):
            await running.gateway.send(CHAT, "", files=[file])


async def test_a_file_that_twilio_did_not_acknowledge_is_looked_up(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("hello"))
        await said(emulate)
        emulate.twilio.fail(MESSAGES, 500, method="POST", after=True)
        await running.gateway.send(CHAT, "a cat", files=[File(PNG, name="cat.png")])
        await wait_until_async(
            lambda: [call for call in emulate.twilio.calls(MESSAGES) if call.method == "GET"], what="Twilio is asked"
        )
        await running.gateway.send(CHAT, "next")
        await said(emulate, 3)
        assert len(sends(emulate)) == 3
