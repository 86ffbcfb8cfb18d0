"""Signatures of Standard Webhooks, which cover an id, the time and the raw body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-webhook-authenticity
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError

from gateway.channels.refusals import WebhookRefusedError

ID, TIMESTAMP, SIGNATURE = HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def sign(signer: Webhook, identifier: str, body: str) -> dict[str, str]:
    """Sign a body, and return the headers that prove who sent it, and when.

    Args:
        identifier: the same each time that the body is sent, so that the receiver recognizes a repeated delivery.
    """
    now = datetime.now(UTC)
    return {ID: identifier, TIMESTAMP: str(int(now.timestamp())), SIGNATURE: signer.sign(identifier, now, body)}


def check_headers(headers: Mapping[str, str]) -> None:
    """Check that a request has all headers of a signature, before its body is read.

    Raises:
        WebhookRefusedError: with status 401, if a header is missing.
    """
    if missing := [name for name in HEADERS if not headers.get(name)]:
        raise WebhookRefusedError(
            401, "it is not signed", f"It has no header {missing[0]}: the host application has to sign it."
        )


def check_signature(signer: Webhook, body: bytes, headers: Mapping[str, str]) -> None:
    """Check that a request was signed with WEBHOOK_SECRET, at most five minutes ago.

    The library compares in constant time. It also accepts a time that is up to five minutes in the future.

    Raises:
        WebhookRefusedError: with status 401, if the signature does not match or the time is another one.
    """
    try:
        signer.verify(body, {name: headers[name] for name in HEADERS}, json_parse=False)
    except (WebhookVerificationError, ValueError):  # the library raises ValueError for a malformed header
        raise WebhookRefusedError(
            401,
            "its signature does not match, or is older than five minutes",
            "If the host application sent it, check that it has the same WEBHOOK_SECRET, that it signs the body as it "
            "sends it, and that the clocks of both machines are right.",
        ) from None
