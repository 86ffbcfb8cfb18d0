"""Read forwarded messages, and the messages that replies refer to: https://www.twilio.com/docs/messaging/guides/webhook-request

A webhook has the id of the message that is replied to. The REST API has its text.
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
    """Return whether a message is forwarded. Twilio does not name its author."""
    return "true" in (form.get("Forwarded"), form.get("FrequentlyForwarded"))


def quoted_in(form: Form) -> tuple[QuotedMessage, ...]:
    """Return what a message refers to: itself if it is forwarded, or the message that it replies to, without text."""
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
    """Fill in the texts of quoted messages from Twilio. Leave out messages that cannot be read.

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
