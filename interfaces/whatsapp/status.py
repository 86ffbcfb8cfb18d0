"""Read Twilio's status callbacks: https://www.twilio.com/docs/messaging/guides/track-outbound-message-status

Each message has a callback address of its own, because a callback may come before the response that has the message's
id. Twilio's signature covers the query of the address.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from gateway.channels import DeliveryRefusedError, DeliveryReport, DeliveryStatus
from interfaces.whatsapp.error_codes import failure
from interfaces.whatsapp.parse import PREFIX, number
from toolkits.text import storable

# Have a callback repeated that could not be delivered. Twilio keeps the fragment to itself:
# https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
REPEATED = "#rc=5&rp=all"
LONGEST_REASON = 500  # characters

# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
_STATUSES = {
    "accepted": DeliveryStatus.QUEUED,
    "scheduled": DeliveryStatus.QUEUED,
    "queued": DeliveryStatus.QUEUED,
    "sending": DeliveryStatus.QUEUED,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
    "undelivered": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
_CODE = re.compile("[0-9]{1,6}", re.ASCII)


def callback(address: str, key: str, *, more: bool) -> str:
    """Return the status callback of a message.

    Args:
        address: where the gateway takes callbacks.
        key: the key of the delivery.
        more: whether more messages follow for the same delivery. Then only a failure of this one counts.
    """
    return f"{address}?{urlencode({'key': key} | ({'more': 1} if more else {}))}{REPEATED}"


def report_in(channel: str, query: Mapping[str, str], form: Mapping[str, str]) -> DeliveryReport | None:
    """Return the report in a callback; `None` if it says nothing about a delivery of a WhatsApp message."""
    key, sender, status = query.get("key"), form.get("From", ""), _STATUSES.get(form.get("MessageStatus", ""))
    if not key or status is None or not sender.startswith(PREFIX) or sender == PREFIX:
        return None
    if status is not DeliveryStatus.FAILED:
        return None if "more" in query else DeliveryReport(channel, number(sender), key, status)
    return DeliveryReport(channel, number(sender), key, status, _error(form))


def _error(form: Mapping[str, str]) -> Exception:
    code = form.get("ErrorCode", "")
    reason = storable(form.get("ChannelStatusMessage", ""))[:LONGEST_REASON] or "Twilio gives no reason."
    return failure(int(code), reason) if _CODE.fullmatch(code) else DeliveryRefusedError(reason)
