"""Questions have buttons where WhatsApp shows them, and presses are handed to the gateway."""

from dataclasses import replace
from typing import Any

import pytest
from peers import seed
from peers.emulate.control import Json
from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.presses import CARD_ID, Pressed, card
from support.channels.running import Run
from support.channels.whatsapp import MESSAGES, post, said, sends

from gateway.channels import Choice, Press, PressOutcome, RecipientUnreachableError, RetryLaterError
from interfaces.whatsapp import WhatsApp
from oauth import Identity
from toolkits import Conversation

NUMBER = seed.WHATSAPP_NUMBER.removeprefix("whatsapp:")
HERE = Conversation("whatsapp", NUMBER, seed.ALICE.phone, shared=False)
ALICE = Identity("whatsapp", NUMBER, seed.ALICE.phone)
CONTENT = "/v1/Content"
QUESTION = "May I do this?\n\nCancel the order `4711`.\n> {a} 😀"
IN_WORDS = "May I?\n\nAnswer *Approve* or *Decline*."


def pressed_button(payload: str, text: str = "Approve", **fields: str) -> dict[str, str]:
    """Build the webhook of a press: https://www.twilio.com/docs/messaging/guides/webhook-request"""
    button = {"MessageType": "button", "ButtonText": text, "ButtonPayload": payload}
    return webhook.inbound(text, **{**button, **fields})


def created(emulate: Emulate) -> list[Json]:
    """Return the content templates that were created."""
    return [call.params for call in emulate.twilio.calls(CONTENT)]


async def test_a_question_has_a_button_for_each_choice(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp):
        await whatsapp.presenter.send_question(HERE, card(QUESTION), "", key="k")
        assert await said(emulate) == [QUESTION]
        (sent,) = emulate.whatsapp_buttons()
        assert sent["actions"] == [
            {"title": "Approve", "id": f"q:{CARD_ID}:0"},
            {"title": "Decline", "id": f"q:{CARD_ID}:1"},
        ]


async def test_a_template_is_created_once_and_contains_nothing_of_a_question(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp):
        for order in ("4711", "4712"):
            await whatsapp.presenter.send_question(HERE, card(f"May I?\n\nCancel {order}."), "", key="k")
        assert await said(emulate, 2) == ["May I?\n\nCancel 4711.", "May I?\n\nCancel 4712."]
        (template,) = created(emulate)
        assert "47" not in str(template)
        assert CARD_ID not in str(template)
        await whatsapp.presenter.send_question(HERE, card("Which?", Choice("a"), Choice("b")), "", key="k")
        assert len(created(emulate)) == 2


@pytest.mark.parametrize(
    ("text", "choices", "sent"),
    [
        (
            "Which?",
            [Choice(str(number)) for number in range(4)],
            "Which?\n\n1. 0\n2. 1\n3. 2\n4. 3\n\nAnswer with a number.",
        ),
        ("Which?", [Choice("x" * 21)], f"Which?\n\n1. {'x' * 21}\n\nAnswer with a number."),
        ("a\tb", [Choice("x")], "a\tb\n\nAnswer *x*."),
        ("a     b", [Choice("x")], "a     b\n\nAnswer *x*."),
        ("{{1}}", [Choice("x")], "{{1}}\n\nAnswer *x*."),
        ("x" * 1025, [Choice("x")], f"{'x' * 1025}\n\nAnswer *x*."),
        ("What is it called?", [], "What is it called?"),
    ],
    ids=["four", "long", "a tab", "five spaces", "braces", "a long text", "no choices"],
)
async def test_questions_that_cannot_have_buttons_are_asked_in_words(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, text: str, choices: list[Choice], sent: str
) -> None:
    async with run(whatsapp):
        question = card(text)
        await whatsapp.presenter.send_question(HERE, replace(question, choices=choices), "", key="k")
        assert await said(emulate) == [sent]
        assert created(emulate) == []


async def test_a_list_of_choices_that_does_not_fit_follows_the_question(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp):
        question = card("x" * 1500, *(Choice(f"{number} {'y' * 70}") for number in range(10)))
        await whatsapp.presenter.send_question(HERE, question, "", key="k")
        first, second = await said(emulate, 2)
        assert first == "x" * 1500
        assert second.startswith("1. 0 yyy")


async def test_without_templates_questions_are_asked_in_words_and_the_log_says_so_once(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(whatsapp):
        refusal = {"code": 20003, "message": "Permission denied", "status": 403}
        emulate.twilio.fail(CONTENT, 403, body=refusal)
        for _ in range(2):
            await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        assert await said(emulate, 2) == [IN_WORDS] * 2
        assert caplog.text.count("Permission denied") == 1


async def test_a_template_that_was_deleted_is_created_again_for_the_next_question(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp):
        await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        emulate.twilio_forget_contents()
        for _ in range(2):
            await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        assert await said(emulate, 3) == ["May I?", IN_WORDS, "May I?"]
        assert len(emulate.whatsapp_buttons()) == 2


async def test_a_template_that_cannot_be_created_now_is_created_later(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp):
        emulate.twilio.fail(CONTENT, 500)
        with pytest.raises(ConnectionError):  # nothing was sent
            await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        emulate.twilio.fail(CONTENT, 429, headers={"Retry-After": "7"})
        with pytest.raises(RetryLaterError):
            await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        assert await said(emulate) == ["May I?"]


async def test_a_question_to_an_unreachable_person_is_not_sent_again_as_text(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp):
        refusal = {"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}
        emulate.twilio.fail(MESSAGES, 400, body=refusal, method="POST")
        with pytest.raises(RecipientUnreachableError):
            await whatsapp.presenter.send_question(HERE, card(), "", key="k")
        assert len(sends(emulate)) == 1


async def test_a_press_is_handed_to_the_gateway_with_its_person(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        pressed = await Pressed.between(whatsapp)
        answer = await post(running, pressed_button(f"q:{CARD_ID}:1", "Decline"))
        assert answer.status_code == 200
        assert "<Message>" not in answer.text
        assert pressed.presses == [Press(CARD_ID, 1, ALICE, "Alice")]
        assert running.inbox() == []


@pytest.mark.parametrize("outcome", [PressOutcome.DECIDED, PressOutcome.NOT_YOURS, PressOutcome.CLOSED])
async def test_a_person_whose_press_is_refused_is_told(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, outcome: PressOutcome
) -> None:
    async with run(whatsapp) as running:
        pressed = await Pressed.between(whatsapp)
        pressed.outcome, pressed.sentence = outcome, "<Alice> & Bob decided."
        answer = await post(running, pressed_button(f"q:{CARD_ID}:0"))
        assert "<Message>&lt;Alice&gt; &amp; Bob decided.</Message>" in answer.text


@pytest.mark.parametrize("payload", ["yes", "q", "q:", "q::1", "q:a b:1", "q:abc:x", f"q:{'a' * 65}:0", "q:abc:1\n"])
async def test_a_press_of_another_button_is_a_message(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, payload: str
) -> None:
    async with run(whatsapp) as running:
        pressed = await Pressed.between(whatsapp)
        await post(running, pressed_button(payload, "Yes"))
        assert await said(emulate) == ["heard"]
        assert running.prompts == ["Yes"]
        assert pressed.presses == []


@pytest.mark.parametrize(
    "fields", [{"From": "whatsapp:+1\0"}, {"From": "whatsapp:x\n"}, {"MessageSid": "S" * 2000}], ids=ascii
)
async def test_a_press_that_cannot_be_stored_is_refused(run: Run, whatsapp: WhatsApp, fields: dict[str, str]) -> None:
    async with run(whatsapp) as running:
        pressed = await Pressed.between(whatsapp)
        assert (await post(running, pressed_button(f"q:{CARD_ID}:0") | fields)).status_code == 400
        assert pressed.presses == []


async def test_characters_that_no_database_stores_are_removed_from_a_name(run: Run, whatsapp: WhatsApp) -> None:
    async with run(whatsapp) as running:
        pressed = await Pressed.between(whatsapp)
        assert (await post(running, pressed_button(f"q:{CARD_ID}:0", ProfileName="Al\0ice"))).status_code == 200
        assert pressed.presses[0].name == "Alice"


async def test_a_press_that_twilio_did_not_send_leaves_no_trace(run: Run, whatsapp: WhatsApp) -> None:
    async with run(whatsapp) as running:
        pressed = await Pressed.between(whatsapp)
        forged: Any = "A" * 27 + "="
        assert (await post(running, pressed_button(f"q:{CARD_ID}:0"), signature=forged)).status_code == 403
        assert pressed.presses == []
