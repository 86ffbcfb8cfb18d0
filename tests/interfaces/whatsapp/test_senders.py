"""Messaging Services as senders, and the address of the webhook."""

from urllib.parse import parse_qs

import pytest
from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import SERVICE, post, said, sends

from interfaces.whatsapp import WhatsApp


async def test_a_messaging_service_answers_from_the_number_that_was_written_to(
    run: Run, service: WhatsApp, emulate: Emulate
) -> None:
    emulate.twilio_service(SERVICE, use_inbound_webhook_on_number=True)
    async with run(service) as running:
        await post(running, webhook.inbound("hello", MessagingServiceSid=SERVICE))
        assert await said(emulate) == ["heard"]
        sent = parse_qs(sends(emulate)[0].body)
        assert (sent["MessagingServiceSid"], sent["From"]) == ([SERVICE], [emulate.whatsapp_number])


@pytest.mark.parametrize(
    "fields", [{}, {"MessagingServiceSid": "MG" + "2" * 32}, {"MessagingServiceSid": SERVICE, "To": "+15551234567"}]
)
async def test_a_message_to_another_sender_starts_no_turn(run: Run, service: WhatsApp, fields: dict[str, str]) -> None:
    async with run(service) as running:
        await post(running, {**webhook.inbound("hello"), **fields})
        assert running.inbox() == []


async def test_a_person_stays_the_same_when_a_number_joins_a_service(
    run: Run, whatsapp: WhatsApp, service: WhatsApp, emulate: Emulate
) -> None:
    emulate.twilio_service(SERVICE, use_inbound_webhook_on_number=True)
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("hello"))
        await said(emulate)
    async with run(service) as running:
        await post(running, webhook.inbound("hello again", MessagingServiceSid=SERVICE))
        await said(emulate, 2)
        assert [len(messages) for messages in running.told] == [3]
