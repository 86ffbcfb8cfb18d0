"""WhatsApp's replies and forwarded messages are quoted: https://www.twilio.com/docs/messaging/guides/webhook-request"""

import asyncio

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import post, said

from interfaces.whatsapp import WhatsApp

pytestmark = pytest.mark.long

ALICE, BOB = (f"whatsapp:{person.phone}" for person in (seed.ALICE, seed.BOB))


def resource(sid: str) -> str:
    return f"/2010-04-01/Accounts/{seed.TWILIO_ACCOUNT_SID}/Messages/{sid}.json"


def reply(text: str, sid: str, sender: str = seed.WHATSAPP_NUMBER) -> dict[str, str]:
    return webhook.inbound(text, OriginalRepliedMessageSid=sid, OriginalRepliedMessageSender=sender)


async def test_a_reply_to_an_answer_of_the_bot_tells_the_model_which(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("hello"))
        await said(emulate)
        (answer,) = emulate.whatsapp_messages("alice")
        await post(running, reply("why?", answer["sid"]))
        await said(emulate, 2)
        assert "You, the assistant, wrote, in the message that the person replied to:\n> heard\n" in running.prompts[1]
        assert running.prompts[1].endswith("</quoted>\n\nwhy?")


async def test_a_reply_to_the_persons_own_message_quotes_it(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    sid = await asyncio.to_thread(emulate.whatsapp_post, "alice", "ship it")
    async with run(whatsapp) as running:
        await post(running, reply("really?", sid, ALICE))
        await said(emulate)
        assert '"Alice" wrote, in the message that the person replied to:\n> ship it\n' in running.prompts[0]


async def test_a_message_of_another_conversation_is_not_read(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    sid = await asyncio.to_thread(emulate.whatsapp_post, "bob", "a secret")
    async with run(whatsapp) as running:
        await post(running, reply("really?", sid, BOB))
        await said(emulate)
        assert running.prompts == ["really?"]


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_a_quoted_message_that_twilio_refuses_to_serve_is_left_out(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, status: int
) -> None:
    sid = "SM" + "f" * 32
    emulate.twilio.fail(resource(sid), status, body={"code": 20404, "message": "no", "status": status})
    async with run(whatsapp) as running:
        await post(running, reply("really?", sid))
        assert await said(emulate) == ["heard"]
        assert running.prompts == ["really?"]


async def test_a_malformed_sid_is_not_requested(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await post(running, reply("really?", "../Calls"))
        assert await said(emulate) == ["heard"]
        assert running.prompts == ["really?"]


async def test_a_forwarded_message_is_quoted_and_not_a_command(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("/new plan", Forwarded="true"))
        assert await said(emulate) == ["heard"]
        assert "Somebody wrote, in a message that the person forwarded:\n> /new plan\n" in running.prompts[0]
