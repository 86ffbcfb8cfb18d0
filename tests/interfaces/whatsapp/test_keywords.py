"""STOP, START and HELP, with and without Twilio's Advanced Opt-Out."""

import asyncio
from xml.etree import ElementTree

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.agents.held import Held
from support.channels.running import Run, Running
from support.channels.whatsapp import post, said, sends

from gateway import Conversation
from gateway.access.entries import AccessList, Entry, Kind
from gateway.channels import AccessPolicy
from interfaces.whatsapp import WhatsApp
from interfaces.whatsapp.keywords import OPTED_IN, OPTED_OUT, USAGE

ALICE = Conversation("whatsapp", seed.WHATSAPP_NUMBER.removeprefix("whatsapp:"), seed.ALICE.phone, shared=False)


async def write(running: Running, text: str, **fields: str) -> str:
    """Write as Alice; return the text that answers the webhook."""
    answer = await post(running, webhook.inbound(text, **fields))
    assert answer.status_code == 200
    return "".join(ElementTree.fromstring(answer.text).itertext())


@pytest.mark.parametrize("word", ["STOP", " stop\n", "Unsubscribe", "STOPALL", "optout"])
async def test_nothing_is_sent_after_stop_until_start(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, word: str
) -> None:
    async with run(whatsapp) as running:
        await write(running, "hello")
        await said(emulate)
        assert await write(running, word) == OPTED_OUT
        await running.gateway.send(ALICE, "an advertisement")
        await running.delivered()
        assert await write(running, "are you there?") == ""
        assert running.prompts == ["hello"]
        assert len(sends(emulate)) == 1

        assert await write(running, "Start") == OPTED_IN
        await write(running, "hello again")
        assert await said(emulate, 2) == ["heard", "heard"]
        assert running.prompts == ["hello", "hello again"]


@pytest.mark.parametrize("policy", [AccessPolicy.ALLOWLIST, AccessPolicy.PAIRING])
async def test_strangers_opt_out_and_in_and_get_no_help(run: Run, whatsapp: WhatsApp, policy: AccessPolicy) -> None:
    whatsapp.access = policy
    entry = Entry(ALICE.channel, ALICE.tenant, Kind.PERSON, ALICE.id)
    async with run(whatsapp) as running:
        entries = AccessList(running.gateway.parts.backend.database)
        assert await write(running, "HELP") == ""
        assert await write(running, "STOP") == OPTED_OUT
        assert await write(running, "hello") == ""
        assert running.rows("SELECT count(*) FROM access_requests") == [(0,)]  # nothing is sent after an opt-out
        assert await write(running, "START") == OPTED_IN
        await write(running, "hello")
        assert running.rows("SELECT count(*) FROM access_requests") == [(1,)]
        assert running.inbox() == []
        await entries.allow(entry)
        assert await write(running, "HELP") == USAGE


async def test_stop_ends_the_turn_that_runs(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    held = Held()
    async with run(whatsapp, model=held.model) as running:
        await write(running, "a long question")
        await asyncio.wait_for(held.asked.wait(), 10)
        assert await write(running, "STOP") == OPTED_OUT
        await wait_until_async(lambda: running.inbox() == [("done",)], what="the turn has ended")
        await running.delivered()
        assert sends(emulate) == []


async def test_an_opt_out_outlives_a_restart(run: Run, emulate: Emulate) -> None:
    def whatsapp() -> WhatsApp:
        return WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)

    async with run(whatsapp()) as running:
        await write(running, "STOP")
    async with run(whatsapp()) as running:
        await running.gateway.send(ALICE, "an advertisement")
        await running.delivered()
        assert sends(emulate) == []


async def test_a_repeated_stop_does_not_opt_out_again(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    stop, start = webhook.inbound("STOP"), webhook.inbound("START")
    async with run(whatsapp) as running:
        for form in (stop, start, stop):
            await post(running, form)
        await write(running, "hello")
        assert await said(emulate) == ["heard"]
        await write(running, "STOP")
        await post(running, start)
        assert await write(running, "hello?") == ""
        assert running.prompts == ["hello"]


async def test_help_is_answered_with_one_sentence_also_after_stop(run: Run, whatsapp: WhatsApp) -> None:
    async with run(whatsapp) as running:
        assert await write(running, "Help") == USAGE
        await write(running, "STOP")
        assert await write(running, "HELP") == USAGE
        assert running.inbox() == []


@pytest.mark.parametrize(
    "form",
    [
        webhook.inbound("please stop"),
        webhook.inbound("STOP", Forwarded="true"),
        webhook.inbound("stop", media={"https://api.twilio.com/1": "image/jpeg"}),
        webhook.inbound("Stop", ButtonText="Stop", ButtonPayload="stop-it"),
        webhook.inbound("cancel"),
        webhook.inbound("start"),
    ],
    ids=["sentence", "forwarded", "caption", "button", "ordinary word", "start of somebody who never opted out"],
)
async def test_other_messages_are_for_the_agent(run: Run, whatsapp: WhatsApp, form: dict[str, str]) -> None:
    async with run(whatsapp) as running:
        await post(running, form)
        assert len(running.inbox()) == 1


async def test_a_keyword_that_twilio_has_answered_is_not_answered_again(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        assert await write(running, "ALTO", OptOutType="STOP") == ""
        assert await write(running, "hello") == ""
        assert await write(running, "AYUDA", OptOutType="HELP") == ""
        assert await write(running, "VOLVER", OptOutType="START") == ""
        assert running.inbox() == []
        await write(running, "hello")
        assert await said(emulate) == ["heard"]


async def test_a_message_that_twilio_refuses_after_stop_is_a_dead_letter(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    emulate.twilio_opt_out("alice")
    async with run(whatsapp) as running:
        await write(running, "hello")
        await wait_until_async(lambda: len(sends(emulate)) == 1, what="the answer is sent")
        await running.delivered()
        assert len(sends(emulate)) == 1
        assert emulate.whatsapp_messages("alice") == []


async def test_a_keyword_with_a_malformed_id_is_refused(run: Run, whatsapp: WhatsApp) -> None:
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("STOP", MessageSid="SM\0"))).status_code == 400
        assert (await post(running, webhook.inbound("hi", ExternalUserId="whatsapp:US.\0"))).status_code == 400
        assert (await post(running, webhook.inbound("hi", From="whatsapp:+1555\0"))).status_code == 400
