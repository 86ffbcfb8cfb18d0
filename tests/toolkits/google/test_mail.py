"""Mails that can be sent, and those that cannot."""

from typing import Any

import pytest
from peers.emulate.server import Emulate
from support.turns.google import shown

from gateway import TurnContext
from oauth.google import GoogleAuth
from toolkits import ToolError
from toolkits.google import Gmail


@pytest.mark.parametrize(
    "address", ["bob", "bob@", "<>", "bob@example.com carol@example.com", "bób@example.com", "@a.b"]
)
async def test_a_malformed_address_is_reported(google: GoogleAuth, context: TurnContext, address: str) -> None:
    with pytest.raises(ToolError, match="is not an e-mail address"):
        await shown(Gmail(google), "send_message", context, to=[address], subject="", body="")


@pytest.mark.parametrize(
    ("mail", "sentence"),
    [
        ({"to": []}, "needs an address in `to`"),
        ({"body": "x" * 20_001}, "only 20000 are allowed"),
        ({"to": [f"p{number}@example.com" for number in range(51)]}, "may go to 50 people at most"),
    ],
)
async def test_a_mail_that_cannot_be_sent_is_not_asked_about(
    google: GoogleAuth, context: TurnContext, mail: dict[str, Any], sentence: str
) -> None:
    whole: dict[str, Any] = {"to": ["bob@example.com"], "subject": "", "body": "", **mail}
    with pytest.raises(ToolError, match=sentence):
        await shown(Gmail(google), "send_message", context, **whole)
    with pytest.raises(ToolError, match=sentence):
        await Gmail(google).send_message(context, **whole)


async def test_mails_with_malformed_address_headers_can_be_answered(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    headers = {
        "From": "J. Smith Inc. <j@example.com>",
        "To": "undisclosed-recipients:;",
        "Cc": "Doe, Jane <d@example.com>",
    }
    payload = {"headers": [{"name": name, "value": value} for name, value in headers.items()]}
    message = {"id": "m", "threadId": "t", "payload": payload}
    emulate.google.fail("/gmail/v1/users/me/messages/m", 200, body=message)
    asked = await shown(Gmail(google), "reply_to_message", context, message_id="m", body="", reply_all=True)
    assert asked.startswith(
        'Send this answer:\n\n- To: `"J. Smith Inc." <j@example.com>`\n- Cc: `Jane <d@example.com>`'
    )
