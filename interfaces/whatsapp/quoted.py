"""Read what WhatsApp's messages refer to: https://www.twilio.com/docs/messaging/guides/webhook-request

Twilio says which message is replied to, and has its text in the REST API.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from twilio.rest import Client

from gateway.channels import DeliveryError
from gateway.logs import describe
from interfaces.whatsapp.errors import twilio_errors
from toolkits import Conversation, QuotedKind, QuotedMessage

CALL_TIMEOUT = 5.0  # seconds for one call of the REST API
SID = re.compile("[A-Z]{2}[0-9a-f]{32}")

Form = Mapping[str, str]

log = logging.getLogger(__name__)


def is_forwarded(form: Form) -> bool:
    """Return whether somebody else wrote a message, and the person sent it on. Twilio does not say who wrote it."""
    return "true" in (form.get("Forwarded"), form.get("FrequentlyForwarded"))


def quoted_in(form: Form) -> tuple[QuotedMessage, ...]:
    """Return what a message refers to: itself if it was sent on, or what it replies to, without its text."""
    if is_forwarded(form):
        return (QuotedMessage(QuotedKind.FORWARDED, "", form.get("Body", "").strip()),)
    sid, is_own = form.get("OriginalRepliedMessageSid", ""), form.get("OriginalRepliedMessageSender") == form["To"]
    if not SID.fullmatch(sid):
        return ()
    author = "" if is_own else form.get("ProfileName", "")
    return (QuotedMessage(QuotedKind.REPLIED, author, "", is_own=is_own, id=sid),)


async def with_texts(
    quoted: Sequence[QuotedMessage], conversation: Conversation, addresses: set[str], client: Client
) -> list[QuotedMessage]:
    """Return messages with the texts that Twilio has of them, without those that it does not give out.

    https://www.twilio.com/docs/messaging/api/message-resource#fetch-a-message-resource

    Args:
        addresses: the two ends of the conversation: a message between others is not read.
    """
    found = []
    for each in quoted:
        if not each.id:
            found.append(each)
            continue
        try:
            with twilio_errors():
                async with asyncio.timeout(CALL_TIMEOUT):
                    original = await client.messages(each.id).fetch_async()
        except (DeliveryError, ConnectionError) as error:
            log.warning("a message that %s replies to cannot be read: %s", conversation.id, describe(error))
            continue
        if {original.from_, original.to} == addresses:
            media = int(original.num_media or 0)
            text = "\n".join(filter(None, (original.body, *["[attachment]"] * media)))
            found.append(replace(each, text=text, id=""))
    return found
