"""Answers are sent to WhatsApp, and looked up if a delivery is ambiguous."""

import pytest
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import MESSAGES, post, said, sends

from interfaces.whatsapp import WhatsApp


async def test_a_long_answer_comes_in_parts_in_order(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        words = " ".join(str(number) for number in range(1000))
        running.answers.append(words)
        await post(running, webhook.inbound("count"))
        parts = await said(emulate, 3)
        assert " ".join(parts) == words
        assert all(len(part) <= 1600 for part in parts)


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
    """Answer as a proxy does. Only Twilio can tell whether it has accepted the message."""
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
