"""A person stays the same person whatever ids a webhook has, and a number that changes hands does not."""

from urllib.parse import urlencode

from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import post, said, sends

from interfaces.whatsapp import WhatsApp

ID, ANOTHER_ID = "whatsapp:US.13491208655302741918", "whatsapp:US.2"


async def identity_of(whatsapp: WhatsApp, **fields: str) -> str:
    """Return the user id that a turn of Alice's message has, to which her accounts belong."""
    message = await whatsapp.parse(urlencode(webhook.inbound("hello", **fields)))
    assert message is not None
    return message.sender.user_id


async def test_a_person_is_the_same_with_a_number_an_id_or_both(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("number"))
        await post(running, webhook.inbound("both", ExternalUserId=ID))
        await post(running, webhook.inbound("id", From=ID, ExternalUserId=ID))
        assert await said(emulate, 3) == ["heard"] * 3
        assert [len(messages) for messages in running.told] == [1, 3, 5]  # one history
        assert await identity_of(whatsapp, From=ID, ExternalUserId=ID) == seed.ALICE.phone


async def test_a_person_without_a_number_is_answered_at_their_id_and_stays_the_same_with_one(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("id", From=ID, ExternalUserId=ID))
        await post(running, webhook.inbound("both", ExternalUserId=ID))
        await wait_until_async(lambda: len(sends(emulate)) == 2, what="both are answered")
        assert [message["body"] for message in emulate.whatsapp_messages(to=ID)] == ["heard"] * 2
        assert [len(messages) for messages in running.told] == [1, 3]


async def test_the_next_owner_of_a_number_gets_nothing_of_the_former_one(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("a secret", ExternalUserId=ID))
        assert await said(emulate) == ["heard"]
        await post(running, webhook.inbound("what did I say?", ExternalUserId=ANOTHER_ID))
        await wait_until_async(lambda: len(sends(emulate)) == 2, what="the next owner is answered")
        assert [len(messages) for messages in running.told] == [1, 1]  # no history
        assert await identity_of(whatsapp, ExternalUserId=ID) == seed.ALICE.phone
        assert await identity_of(whatsapp, ExternalUserId=ANOTHER_ID) == "US.2"
        assert [message["body"] for message in emulate.whatsapp_messages(to=ANOTHER_ID)] == ["heard"]
        await post(running, webhook.inbound("again"))  # a webhook without the id
        await wait_until_async(lambda: len(sends(emulate)) == 3, what="the next owner is answered again")
        assert [len(messages) for messages in running.told] == [1, 1, 3]


async def test_a_stop_belongs_to_the_person_and_not_to_the_id_of_the_webhook(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        await post(running, webhook.inbound("hello", ExternalUserId=ID))
        await said(emulate)
        await post(running, webhook.inbound("STOP", From=ID, ExternalUserId=ID))
        await post(running, webhook.inbound("hello", ExternalUserId=ID))
        assert running.prompts == ["hello"]
        await post(running, webhook.inbound("I am new here", ExternalUserId=ANOTHER_ID))
        await wait_until_async(lambda: len(sends(emulate)) == 2, what="the next owner is answered")
