"""Webhooks that are messages to the bot, and the text that the agent reads."""

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import post, said, sends

from interfaces.whatsapp import WhatsApp


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


async def test_a_webhook_that_is_not_a_message_to_this_number_starts_no_turn(run: Run, whatsapp: WhatsApp) -> None:
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
async def test_sms_and_rcs_to_the_same_number_start_no_turn(
    run: Run, whatsapp: WhatsApp, addresses: dict[str, str]
) -> None:
    """Send an SMS and an RCS message to the number, which Twilio signs in the same way."""
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("yes", **addresses))).status_code == 200
        assert running.inbox() == []


async def test_a_person_without_a_phone_number_is_answered(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    """Check the request for the answer, as Twilio documents it. The stand-in refuses it: it has no business-scoped ids.

    https://www.twilio.com/en-us/changelog/whatsapp-bsuid-format-in-conversations-and-webhook-fields
    """
    address = "whatsapp:US.13491208655302741918"
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("hello", From=address))).status_code == 200
        await wait_until_async(lambda: sends(emulate), what="the answer")
        assert sends(emulate)[0].params["To"] == address
        assert running.prompts == ["hello"]


@pytest.mark.parametrize("status", ["queued", "sent", "delivered", "read", "failed", "undelivered"])
async def test_a_status_callback_starts_no_turn(run: Run, whatsapp: WhatsApp, status: str) -> None:
    async with run(whatsapp) as running:
        sid = webhook.message_sid()
        to_us = {"Body": "hello", "To": seed.WHATSAPP_NUMBER, "From": f"whatsapp:{seed.ALICE.phone}"}
        for form in (webhook.status_callback(sid, status), webhook.status_callback(sid, status, **to_us)):
            assert (await post(running, form)).status_code == 200
        bare = webhook.inbound("hello", SmsStatus=status)
        assert (await post(running, bare)).status_code == 200
        assert running.inbox() == []


async def test_each_person_has_their_own_conversation(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
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
