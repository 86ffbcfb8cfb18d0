"""Build and sign requests of Slack's interactivity: https://docs.slack.dev/interactivity/handling-user-interaction"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from peers import seed
from peers.emulate.control import Json
from peers.webhooks import slack_events

FORM = "application/x-www-form-urlencoded"


def button(action_id: str, value: str, text: str = "Yes") -> Json:
    """Build the action of a button: https://docs.slack.dev/reference/block-kit/block-elements/button-element"""
    return {
        "type": "button",
        "action_id": action_id,
        "block_id": "b1",
        "text": {"type": "plain_text", "text": text, "emoji": True},
        "value": value,
        "action_ts": slack_events.ts(),
    }


def choice(action_id: str, value: str, text: str = "Yes") -> Json:
    """Build the action of a menu: https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element"""
    option = {"text": {"type": "plain_text", "text": text, "emoji": True}, "value": value}
    return {
        "type": "static_select",
        "action_id": action_id,
        "block_id": "b1",
        "selected_option": option,
        "action_ts": slack_events.ts(),
    }


def thumb(action_id: str, value: str) -> Json:
    """Build the action of a thumb.

    https://docs.slack.dev/tools/bolt-js/reference/interfaces/FeedbackButtonsAction
    """
    text = {"type": "plain_text", "text": "Good answer", "emoji": True}
    ids = {"action_id": action_id, "block_id": "b1", "action_ts": slack_events.ts()}
    return {"type": "feedback_buttons", **ids, "text": text, "value": value}


def block_actions(
    *actions: Mapping[str, Any],
    person: seed.Person = seed.ALICE,
    channel: str = seed.SLACK_CHANNEL_ID,
    ts: str = "1764000000.000100",
    thread_ts: str | None = None,
    response_url: str = "https://hooks.slack.com/actions/T0PEERS01/1234/5678",
    **fields: Any,
) -> Json:
    """Build the payload of a press in a message.

    https://docs.slack.dev/reference/interaction-payloads/block_actions-payload

    `team` is the workspace of the app that posted the message, also in a channel that is shared with another
    organization: https://github.com/slackapi/java-slack-sdk/issues/1041
    """
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    container = {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False}
    message = {
        "user": seed.SLACK_BOT_USER_ID,
        "type": "message",
        "ts": ts,
        "text": "May I?",
        "team": seed.SLACK_TEAM_ID,
    }
    bot = {"bot_id": seed.SLACK_BOT_ID, "app_id": seed.SLACK_APP_ID}
    return {
        "type": "block_actions",
        "user": {
            "id": person.slack_id,
            "username": person.name,
            "name": person.name,
            "team_id": seed.SLACK_TEAM_ID,
        },
        "api_app_id": seed.SLACK_APP_ID,
        "token": "verification-token",
        "container": {**container, **thread},
        "trigger_id": f"{time.time_ns()}.738474920.8088930838d88f008e0",
        "team": {"id": seed.SLACK_TEAM_ID, "domain": "peers"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel, "name": "directmessage" if channel.startswith("D") else "general"},
        "message": {**message, **bot, **thread},
        "state": {"values": {}},
        "response_url": response_url,
        "actions": list(actions),
        **fields,
    }


def body_of(payload: Mapping[str, Any]) -> bytes:
    """Return the request body for a payload."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def headers(body: bytes, **signing: Any) -> dict[str, str]:
    """Return the headers with which Slack sends a body. `signing` are arguments of `slack_events.headers`."""
    return slack_events.headers(body, content_type=FORM, **signing)
