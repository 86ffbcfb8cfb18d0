"""An operator's templates are sent as Twilio takes them."""

from urllib.parse import parse_qs

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import MESSAGES, post, said, sends

from gateway import Conversation, SettingError, Template
from interfaces.whatsapp import WhatsApp
from toolkits import ToolError

NUMBER = seed.WHATSAPP_NUMBER.removeprefix("whatsapp:")
ALICE = Conversation("whatsapp", NUMBER, seed.ALICE.phone, shared=False)
NEWS, LATE = "HX" + "1" * 32, "HX" + "2" * 32


async def test_a_template_is_sent_with_its_variables_and_without_a_body(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    emulate.twilio_template(NEWS, "Hello {{1}}, your order {{2}} is here.")
    async with run(whatsapp) as running:
        await running.gateway.send(ALICE, template=Template(NEWS, {"1": "Alice", "2": "4711"}))
        assert await said(emulate) == ["Hello Alice, your order 4711 is here."]
        sent = parse_qs(sends(emulate)[0].body)
        assert sent["ContentSid"] == [NEWS]
        assert "Body" not in sent


@pytest.mark.parametrize("value", ["", "two\nlines", "a\ttab", "five     spaces"])
async def test_a_value_that_twilio_refuses_is_refused_before_it_is_sent(
    run: Run, whatsapp: WhatsApp, value: str
) -> None:
    async with run(whatsapp) as running:
        with pytest.raises(ToolError, match="The variable '1' is empty, or has a line break"):
            await running.gateway.send(ALICE, template=Template(NEWS, {"1": value}))


@pytest.mark.parametrize("after", [True, False], ids=["taken", "not taken"])
async def test_a_template_that_twilio_did_not_acknowledge_is_sent_again_unless_nothing_was_sent(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    monkeypatch.setenv("UNDERSTUDY_AMBIGUOUS_SENDS", "drop")
    emulate.twilio_template(NEWS, "News")
    async with run(whatsapp) as running:
        emulate.twilio.fail(MESSAGES, 500, method="POST", after=after)
        await running.gateway.send(ALICE, template=Template(NEWS))
        await wait_until_async(lambda: len(emulate.whatsapp_messages("alice")) == 1, what="it is sent once")
        await running.delivered()
        assert len(sends(emulate)) == (1 if after else 2)


async def test_an_answer_that_comes_too_late_is_announced_by_the_operators_template(run: Run, emulate: Emulate) -> None:
    emulate.twilio_template(LATE, "Your answer is ready: reply to read it.")
    whatsapp = WhatsApp(
        emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url, late_template=LATE
    )
    async with run(whatsapp) as running:
        await running.gateway.send(ALICE, "the report")  # to a person who has not written for 24 hours
        await running.gateway.send(ALICE, "and another one")
        assert await said(emulate) == ["Your answer is ready: reply to read it."]
        await post(running, webhook.inbound("show me"))
        texts = ["Your answer is ready: reply to read it.", "the report", "and another one", "heard"]
        assert await said(emulate, 4) == texts


async def test_the_template_for_late_answers_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_LATE_TEMPLATE", LATE)
    whatsapp = WhatsApp(seed.TWILIO_ACCOUNT_SID, seed.TWILIO_AUTH_TOKEN, seed.WHATSAPP_NUMBER)
    assert whatsapp.presenter.late_template == Template(LATE)
    monkeypatch.setenv("TWILIO_LATE_TEMPLATE", "hello")
    with pytest.raises(SettingError, match="TWILIO_LATE_TEMPLATE is malformed"):
        WhatsApp(seed.TWILIO_ACCOUNT_SID, seed.TWILIO_AUTH_TOKEN, seed.WHATSAPP_NUMBER)
