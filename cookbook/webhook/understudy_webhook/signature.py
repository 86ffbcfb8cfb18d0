"""Signatures of Standard Webhooks, which cover an id, the time and the raw body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-webhook-authenticity
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError

from gateway.channels.refusals import WebhookRefusedError

ID, TIMESTAMP, SIGNATURE = HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def sign(signer: Webhook, identifier: str, body: str) -> dict[str, str]:
    """Return the headers that prove who sent a body, and when.

    Args:
        identifier: the same each time that the body is sent, so that its receiver can tell a second delivery.
    """
    now = datetime.now(UTC)
    return {ID: identifier, TIMESTAMP: str(int(now.timestamp())), SIGNATURE: signer.sign(identifier, now, body)}


def check_headers(headers: Mapping[str, str]) -> None:
    """Check that a request is signed at all, before its body is read.

    Raises:
        WebhookRefusedError: if it is not.
    """
    if missing := [name for name in HEADERS if not headers.get(name)]:
        raise WebhookRefusedError(401, "it is not signed", f"It has no header {missing[0]}: the host has to sign it.")


def check_signature(signer: Webhook, body: bytes, headers: Mapping[str, str]) -> None:
    """Check that a request was signed with our secret, in the last five minutes.

    The library compares in constant time, and allows five minutes in both directions.

    Raises:
        WebhookRefusedError: if it was not.
    """
    try:
        signer.verify(body, {name: headers[name] for name in HEADERS}, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: what is malformed is no error of the library's own
        raise WebhookRefusedError(
            401,
            "its signature does not fit, or is older than five minutes",
            "If the host application sent it, it has another WEBHOOK_SECRET, signs another body than it sends, or the "
            "clock of one of the two machines is wrong.",
        ) from None
