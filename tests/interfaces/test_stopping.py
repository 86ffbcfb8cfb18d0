"""Messages that stop a turn in each channel, and whose turn they stop."""

import json
from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.webhooks import slack_events
from support.channels.telegram import AT
from telegram import Update

from gateway.channels import Event
from interfaces.chatkit import parse as chatkit
from interfaces.slack import parse as slack
from interfaces.telegram import parse as telegram
from interfaces.web import parse as web
from interfaces.whatsapp import parse as whatsapp

ALICE_TELEGRAM, ALICE_SLACK = str(seed.ALICE.telegram_id), seed.ALICE.slack_id
AT_SLACK = f"<@{seed.SLACK_BOT_USER_ID}>"


@pytest.mark.parametrize(
    ("update", "stops"),
    [
        (updates.command("stop"), True),
        (updates.command("stop", at_bot=True, chat=updates.GROUP), True),
        (updates.command("new"), False),
        (updates.private_message("stop"), False),
        (updates.group_message(f"{AT} stop"), False),
    ],
)
def test_the_command_stops_in_telegram(update: dict[str, Any], stops: bool) -> None:
    bot = telegram.Bot("telegram", updates.BOT_ID, updates.BOT_USERNAME)
    event = telegram.to_event(bot, Update.de_json(update), json.dumps(update))
    assert event is not None
    assert (event.stops, event.author) == (stops, ALICE_TELEGRAM)


@pytest.mark.parametrize(
    ("body", "stops"),
    [
        (slack_events.direct_message("stop"), True),
        (slack_events.direct_message(" Stop "), True),
        (slack_events.app_mention(f"{AT_SLACK} stop"), True),
        (slack_events.direct_message("stop sending me that"), False),
        (slack_events.direct_message("new"), False),
    ],
)
def test_the_single_word_stops_in_slack(body: dict[str, Any], stops: bool) -> None:
    _, command = slack.said_in(body, seed.SLACK_BOT_USER_ID)
    event = slack.to_event("slack", body, json.dumps(body))
    assert (command == "stop", event.author) == (stops, ALICE_SLACK)


@pytest.mark.parametrize(("text", "stops"), [("/stop", True), ("STOP", False), ("stop", False)])
def test_the_word_that_opts_out_does_not_stop_in_whatsapp(text: str, stops: bool) -> None:
    form = {"MessageSid": "SM1", "From": "whatsapp:+4915100", "To": "whatsapp:+15551", "Body": text}
    event = whatsapp.to_event(form, "", whatsapp.address_of("whatsapp", form))
    assert (event.stops, event.author) == (stops, "+4915100")


@pytest.mark.parametrize(("text", "stops"), [("/stop", True), (" /STOP ", True), ("stop", False)])
def test_the_command_stops_in_the_web_chat_and_chatkit(text: str, stops: bool) -> None:
    events: list[Event] = [
        web.to_event("alice", web.Submission(id="1", text=text), []),
        chatkit.to_event(chatkit.Person("alice"), "thr_1", "1", text),
    ]
    assert [(event.stops, event.author) for event in events] == [(stops, "alice")] * 2
