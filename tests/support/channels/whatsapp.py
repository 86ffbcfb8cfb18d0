"""Helpers for tests of the WhatsApp channel."""

from typing import Any

import pytest
from peers import seed
from peers.emulate.control import Call
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook

from interfaces.whatsapp import WhatsApp
from support.channels.running import URL, Running

PATH = "/whatsapp/webhook"
MESSAGES = f"/2010-04-01/Accounts/{seed.TWILIO_ACCOUNT_SID}/Messages.json"

SERVICE = "MG" + "1" * 32  # the id of a Messaging Service


@pytest.fixture
def service(emulate: Emulate) -> WhatsApp:
    """The channel of a Messaging Service."""
    return WhatsApp(emulate.account_sid, emulate.auth_token, SERVICE, emulate.twilio_url)


@pytest.fixture
def whatsapp(emulate: Emulate) -> WhatsApp:
    emulate.whatsapp_reports()  # the gateway has no port: tests post the callbacks themselves, see `reported`
    return WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)


async def post(running: Running, form: dict[str, str], path: str = PATH, signature: Any = None) -> Any:
    """Post a webhook request to the gateway, with a valid signature unless another is given."""
    signature = webhook.sign(URL + path, form) if signature is None else signature
    return await running.client.post(path, data=form, headers={"X-Twilio-Signature": signature})


async def said(emulate: Emulate, count: int = 1) -> list[str]:
    """Wait until Alice has `count` messages of the bot, and return their texts."""
    await wait_until_async(
        lambda: len(emulate.whatsapp_messages("alice")) >= count, what=f"the bot has sent {count} messages"
    )
    return [message["body"] for message in emulate.whatsapp_messages("alice")]


async def reported(
    running: Running, emulate: Emulate, number: int, status: str, error_code: int | None = None, **fields: str
) -> Any:
    """Post a signed status callback of the message with this number, counted from 0."""
    sent = [call for call in sends(emulate) if call.status == 201][number]
    path = sent.params["StatusCallback"].removeprefix(URL).partition("#")[0]
    sid = emulate.whatsapp_messages()[number]["sid"]
    form = webhook.status_callback(sid, status, error_code=error_code, **{"To": sent.params["To"], **fields})
    return await post(running, form, path)


def sends(emulate: Emulate) -> list[Call]:
    """Return the API calls that send a message."""
    return [call for call in emulate.twilio.calls(MESSAGES) if call.method == "POST"]
