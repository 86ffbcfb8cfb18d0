"""Questions are messages with buttons, and presses are handed to the gateway."""

import logging
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import slack_interactions as interactions
from support.channels.presses import CARD_ID, Pressed, card
from support.channels.running import Run
from support.channels.slack import answer_address, press

from gateway.channels import Choice, Press, PressOutcome, SignIn
from interfaces.slack import Slack
from interfaces.slack.interactivity import blocks
from oauth import Identity
from toolkits import Conversation

ALICE = Identity("slack", seed.SLACK_TEAM_ID, seed.ALICE.slack_id)


def channel(emulate: Emulate, thread: str = "") -> Conversation:
    return Conversation("slack", seed.SLACK_TEAM_ID, f"{emulate.slack_channel_id}/{thread}", shared=True)


def direct(emulate: Emulate) -> Conversation:
    return Conversation("slack", seed.SLACK_TEAM_ID, emulate.slack_dm("alice"), shared=False)


def last_message(emulate: Emulate, place: str) -> dict[str, Any]:
    return emulate.slack_messages(place)[-1]


async def test_a_question_has_a_button_for_each_choice(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack):
        place = direct(emulate)
        sent = await slack.presenter.send_question(place, card("May I *do* it?"), "", key="k1")
        message = last_message(emulate, place.id)
        assert (message["ts"], message["text"]) == (sent, "May I *do* it?")
        section, actions = message["blocks"]
        assert section["text"] == {"type": "mrkdwn", "text": "May I *do* it?"}
        assert section["expand"]
        assert [
            (each["text"]["text"], each["style"], each["action_id"], each["value"]) for each in actions["elements"]
        ] == [("Approve", "primary", "question.0", CARD_ID), ("Decline", "danger", "question.1", CARD_ID)]
        posted = emulate.slack.calls("chat.postMessage")[-1].params
        assert "k1" in str(posted["metadata"])


async def test_a_private_question_from_a_channel_is_shown_only_to_its_person(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack):
        sent = await slack.presenter.send_private_question(ALICE, channel(emulate, "1.1"), card(), first=True, key="k")
        message = last_message(emulate, emulate.slack_dm("alice"))
        assert message["ts"] == sent
        heading = f"You asked in <#{emulate.slack_channel_id}>:\n"
        assert message["text"] == message["blocks"][0]["text"]["text"] == f"{heading}May I?"


@pytest.mark.parametrize("count", [1, 25, 26, 100])
async def test_many_choices_are_shown_as_a_menu(run: Run, slack: Slack, emulate: Emulate, count: int) -> None:
    async with run(slack):
        place = direct(emulate)
        choices = [Choice(f"{number} {'ä' * 100}") for number in range(count)]
        await slack.presenter.send_question(place, card("Which?", *choices), "", key="k")
        (action, *_) = elements = last_message(emulate, place.id)["blocks"][-1]["elements"]
        shown = action["options"] if count > 25 else elements
        assert len(shown) == count
        assert shown[-1]["text"]["text"].startswith(f"{count - 1} ä")
        assert shown[-1]["text"]["text"].endswith("…")


async def test_choices_are_typed_if_slack_cannot_show_so_many(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack):
        place = direct(emulate)
        choices = [Choice(str(number)) for number in range(101)]
        await slack.presenter.send_question(place, card("Which?", *choices), "", key="k")
        message = last_message(emulate, place.id)
        assert "*100*" in message["text"]
        assert not message.get("blocks")


async def test_a_question_whose_buttons_slack_refuses_is_asked_in_words(
    run: Run, slack: Slack, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(slack):
        place = direct(emulate)
        emulate.slack.fail("/api/chat.postMessage", 200, body={"ok": False, "error": "invalid_blocks"})
        sent = await slack.presenter.send_question(place, card(), "", key="k")
        message = last_message(emulate, place.id)
        assert (message["ts"], message["text"]) == (sent, "May I?\n\nAnswer *Approve* or *Decline*.")
        assert "invalid_blocks" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"line {number} " + "x" * 50 for number in range(65)),
        "```\n" + "\n".join(f"code {number} " + "😀" * 20 for number in range(70)) + "\n```",
        "a" * 3990,
        "&amp;" * 790,
        f"{'word ' * 590}<https://a.test/{'x' * 300}|a link> {'word ' * 100}",
    ],
    ids=["lines", "code", "one word", "escaped characters", "a link"],
)
async def test_a_long_question_is_shown_whole(run: Run, slack: Slack, emulate: Emulate, text: str) -> None:
    async with run(slack):
        place = direct(emulate)
        await slack.presenter.send_question(place, card(text), "", key="k")
        *sections, _ = last_message(emulate, place.id)["blocks"]
        texts = [section["text"]["text"] for section in sections]
        assert len(texts) > 1
        assert all(each.count("```") % 2 == 0 for each in texts)
        assert "".join(texts).replace("\n```", "").replace("```\n", "") == text.replace("\n```", "").replace(
            "```\n", ""
        )
        assert not any(each.startswith(("amp;", "x")) or each.endswith("&") for each in texts[1:])


@pytest.mark.parametrize("is_private", [False, True])
async def test_a_decided_question_shows_what_was_decided_and_no_buttons(
    run: Run, slack: Slack, emulate: Emulate, is_private: bool
) -> None:
    async with run(slack):
        if is_private:
            conversation, identity = channel(emulate, "1.1"), ALICE
            sent = await slack.presenter.send_private_question(ALICE, conversation, card(), first=True, key="k")
        else:
            conversation, identity = direct(emulate), None
            sent = await slack.presenter.send_question(conversation, card(), "", key="k")
        assert sent is not None
        await slack.presenter.close_question(conversation, identity, sent, "May I?\n*Approved* by alice")
        message = last_message(emulate, emulate.slack_dm("alice"))
        assert message["text"] == "May I?\n*Approved* by alice"
        assert [block["type"] for block in message["blocks"]] == ["section"]


async def test_a_question_that_is_gone_counts_as_closed(
    run: Run, slack: Slack, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(slack):
        with caplog.at_level(logging.INFO, "interfaces.slack"):
            await slack.presenter.close_question(direct(emulate), None, "1.000100", "May I? Yes.")
        assert "message_not_found" in caplog.text


@pytest.mark.parametrize("is_menu", [False, True])
async def test_a_press_is_handed_to_the_gateway_with_its_person(
    run: Run, slack: Slack, emulate: Emulate, is_menu: bool
) -> None:
    async with run(slack) as running:
        pressed = await Pressed.between(slack)
        action = (
            interactions.choice("question", f"{CARD_ID}.26")
            if is_menu
            else interactions.button("question.1", CARD_ID, "Decline")
        )
        address = answer_address(emulate, emulate.slack_channel_id)
        assert await press(running, interactions.block_actions(action, response_url=address)) == 200
        assert pressed.presses == [Press(CARD_ID, 26 if is_menu else 1, ALICE, "alice")]
        assert emulate.slack_ephemerals() == []


@pytest.mark.parametrize("outcome", [PressOutcome.DECIDED, PressOutcome.NOT_YOURS, PressOutcome.CLOSED])
async def test_only_the_person_whose_press_is_refused_is_told(
    run: Run, slack: Slack, emulate: Emulate, outcome: PressOutcome
) -> None:
    async with run(slack) as running:
        pressed = await Pressed.between(slack)
        pressed.outcome = outcome
        place = emulate.slack_channel_id
        payload = interactions.block_actions(
            interactions.button("question.0", CARD_ID),
            person=seed.BOB,
            response_url=answer_address(emulate, place, seed.BOB),
        )
        assert await press(running, payload) == 200
        assert [each["text"] for each in emulate.slack_ephemerals("bob", place)] == [f"It is {outcome}."]
        assert emulate.slack_said(place) == []


@pytest.mark.parametrize(
    "action",
    [
        interactions.button("question.0", ""),
        interactions.button("question.0", "\0"),
        interactions.button("question.0", "x" * 2000),
        interactions.button("question.-1", CARD_ID),
        interactions.button("question.9999", CARD_ID),
        interactions.button("question.x", CARD_ID),
        interactions.choice("question", CARD_ID),
    ],
    ids=lambda action: ascii(action)[:60],
)
async def test_a_press_of_an_unknown_button_is_refused(run: Run, slack: Slack, action: dict[str, Any]) -> None:
    async with run(slack) as running:
        pressed = await Pressed.between(slack)
        assert await press(running, interactions.block_actions(action)) == 400
        assert pressed.presses == []


async def test_a_sign_in_link_is_a_button(run: Run, slack: Slack, emulate: Emulate) -> None:
    async def link() -> str:
        return "https://bot.test/s/1?a=1&b=2"

    async with run(slack):
        place = direct(emulate)
        await slack.presenter.send_sign_in(SignIn(ALICE, place, "", "G & G", link, "ticket"))
        message = last_message(emulate, place.id)
        section, actions = message["blocks"]
        (button,) = actions["elements"]
        assert (button["text"]["text"], button["url"]) == ("Connect G & G", await link())
        assert section["text"]["text"].startswith("To answer that, I need you to connect your G &amp; G account. ")
        assert f"<{await link()}|Connect G &amp; G>" in message["text"]


async def test_a_press_of_the_button_with_a_link_is_acknowledged(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        action = interactions.button(blocks.SIGN_IN, "")
        assert await press(running, interactions.block_actions(action)) == 200
