"""Events tell the text and the command of their message, by which answers and commands begin no turn."""

import json

import pytest
from peers import seed
from peers.telegram import updates
from peers.webhooks import slack_events
from peers.webhooks import twilio_webhook as twilio
from support.channels.telegram import AT
from telegram import Update

from interfaces.chatkit import parse as chatkit
from interfaces.slack import parse as slack
from interfaces.telegram import parse as telegram
from interfaces.web import parse as web
from interfaces.whatsapp import parse as whatsapp

AT_SLACK = f"<@{seed.SLACK_BOT_USER_ID}>"


@pytest.mark.parametrize(
    ("update", "text", "command"),
    [
        (updates.private_message("1234 5678"), "1234 5678", None),
        (updates.command("help"), "/help", "help"),
        (updates.command("start", "12345678"), "/start 12345678", "start"),
        (updates.command("accounts", at_bot=True, chat=updates.GROUP), None, "accounts"),
        (updates.command("research", "this"), "/research this", None),
        (updates.group_message(f"{AT} yes"), "yes", None),
        (
            updates.private_message(
                "/help", forward_origin={"type": "hidden_user", "date": 1, "sender_user_name": "x"}
            ),
            "",
            None,
        ),
    ],
    ids=["code", "command", "argument", "in a group", "of a route", "mention", "forwarded"],
)
def test_telegram_tells_the_text_and_the_command(
    update: dict[str, object], text: str | None, command: str | None
) -> None:
    bot = telegram.Bot("telegram", updates.BOT_ID, updates.BOT_USERNAME)
    read = Update.de_json(update)
    event = telegram.to_event(bot, read, json.dumps(update))
    assert event is not None
    assert read.message is not None
    message = telegram.to_message(bot, read.message, "", [], [])
    assert (event.text, event.command) == (message.text, message.command)
    assert (event.text if text is not None else None, event.command) == (text, command)


@pytest.mark.parametrize(
    ("body", "text", "command"),
    [
        (slack_events.direct_message("yes"), "yes", None),
        (slack_events.direct_message("new"), "new", "new"),
        (slack_events.app_mention(f"{AT_SLACK} 1234 5678"), "1234 5678", None),
        (slack_events.direct_message("stop sending me that"), "stop sending me that", None),
    ],
    ids=["answer", "command", "code", "sentence"],
)
def test_slack_tells_the_text_and_the_command(body: dict[str, object], text: str, command: str | None) -> None:
    message = slack.to_message("slack", body, seed.SLACK_BOT_USER_ID, [], {})
    assert slack.said_in(body, seed.SLACK_BOT_USER_ID) == (message.text, message.command) == (text, command)


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [("/help", "", "help"), ("/bot", "accounts", "accounts"), ("/bot", "", "help"), ("/research", "this", None)],
)
def test_a_slash_command_of_slack_tells_its_command(name: str, text: str, command: str | None) -> None:
    event = slack.to_command_event("slack", slack_events.slash_command(name, text), "D1")
    message = slack.to_command_message("slack", json.loads(event.payload), event.payload)
    assert event.command == message.command == command


@pytest.mark.parametrize(("text", "command"), [("yes", None), ("/Help", "help"), ("/research this", None)])
def test_the_other_channels_tell_the_text_and_the_command(text: str, command: str | None) -> None:
    form = twilio.inbound(text)
    for event in (
        whatsapp.to_event(form, "", whatsapp.address_of("whatsapp", form)),
        web.to_event("alice", web.Submission(id="1", text=text), []),
        chatkit.to_event(chatkit.Person("alice"), "thr_1", "1", text),
    ):
        assert (event.text, event.command) == (text, command)
