"""Build, sign and post Twilio's webhook requests for WhatsApp.

https://www.twilio.com/docs/messaging/guides/webhook-request, https://www.twilio.com/docs/whatsapp/api
"""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx
from twilio.request_validator import RequestValidator

from peers import seed
from peers.emulate.control import TIMEOUT


def message_sid(media: bool = False) -> str:
    return f"{'MM' if media else 'SM'}{secrets.token_hex(16)}"


def inbound(
    text: str,
    person: seed.Person = seed.ALICE,
    *,
    to: str = seed.WHATSAPP_NUMBER,
    sid: str | None = None,
    media: Mapping[str, str] | None = None,
    **fields: str,
) -> dict[str, str]:
    """Build the parameters of a person's message.

    Args:
        media: the content type of each attachment, by its URL.
        fields: further parameters, such as `OriginalRepliedMessageSid` for a reply that quotes a message, `ButtonText`
            and `ButtonPayload` for a pressed button, `Latitude` and `Longitude` for a location.
    """
    attached = list((media or {}).items())
    sid = sid or message_sid(bool(attached))
    number = person.phone.removeprefix("+")
    kind = attached[0][1].partition("/")[0] if attached else "text"
    return {
        "SmsMessageSid": sid,
        "NumMedia": str(len(attached)),
        "ProfileName": person.name.capitalize(),
        "MessageType": kind,
        "SmsSid": sid,
        "WaId": number,
        "SmsStatus": "received",
        "Body": text,
        "To": to,
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": sid,
        "AccountSid": seed.TWILIO_ACCOUNT_SID,
        "From": f"whatsapp:{person.phone}",
        "ApiVersion": "2010-04-01",
        **{f"MediaUrl{index}": url for index, (url, _) in enumerate(attached)},
        **{f"MediaContentType{index}": content_type for index, (_, content_type) in enumerate(attached)},
        **fields,
    }


def status_callback(
    sid: str,
    status: str = "delivered",
    person: seed.Person = seed.ALICE,
    *,
    error_code: int | None = None,
    **fields: str,
) -> dict[str, str]:
    """Build the parameters of a StatusCallback about a message to a person.

    https://www.twilio.com/docs/messaging/guides/track-outbound-message-status

    Args:
        status: `queued`, `sent`, `delivered`, `read`, `failed` or `undelivered`.
        error_code: with `failed` and `undelivered`, for example 63016 (outside the 24-hour window).
    """
    failed = {} if error_code is None else {"ErrorCode": str(error_code)}
    return {
        "ChannelPrefix": "whatsapp",
        "ApiVersion": "2010-04-01",
        "MessageStatus": status,
        "SmsSid": sid,
        "SmsStatus": status,
        "ChannelInstallSid": "XE" + "1" * 32,
        "To": f"whatsapp:{person.phone}",
        "From": seed.WHATSAPP_NUMBER,
        "MessageSid": sid,
        "AccountSid": seed.TWILIO_ACCOUNT_SID,
        "ChannelToAddress": person.phone,
        **({"EventType": "READ"} if status == "read" else {}),
        **failed,
        **fields,
    }


def sign(url: str, params: Mapping[str, Any], auth_token: str = seed.TWILIO_AUTH_TOKEN) -> str:
    """Sign a webhook request: https://www.twilio.com/docs/usage/security#validating-requests"""
    return RequestValidator(auth_token).compute_signature(url, dict(params))


def post(
    url: str,
    params: Mapping[str, str],
    *,
    auth_token: str = seed.TWILIO_AUTH_TOKEN,
    signed_url: str | None = None,
    signed: bool = True,
    token: str = "",
) -> httpx.Response:
    """Send a webhook request.

    Args:
        auth_token: another one for a forged request.
        signed_url: the public URL of the webhook, if `url` is behind a proxy.
        signed: false for a request without a signature.
        token: the `I-Twilio-Idempotency-Token`, which repeated deliveries have in common.
    """
    signature = sign(signed_url or url, params, auth_token) if signed else None
    return _send(url, params, signature, token)


def post_tampered(url: str, params: Mapping[str, str]) -> httpx.Response:
    """Send a webhook request with a signature that is valid for other parameters."""
    return _send(url, params, sign(url, {**params, "Body": "what was signed"}), "")


def _send(url: str, params: Mapping[str, str], signature: str | None, token: str) -> httpx.Response:
    headers = {"User-Agent": "TwilioProxy/1.1", "I-Twilio-Idempotency-Token": token or secrets.token_hex(16)}
    if signature is not None:
        headers["X-Twilio-Signature"] = signature
    return httpx.post(url, data=dict(params), headers=headers, timeout=TIMEOUT, trust_env=False)
