"""Read Twilio's webhooks for WhatsApp: https://www.twilio.com/docs/messaging/guides/webhook-request"""

from collections.abc import Mapping, Sequence

from gateway.channels import Event
from gateway.channels.commands import command_in, is_stop
from interfaces.whatsapp.attachments import has_location, media_count
from interfaces.whatsapp.quoted import is_forwarded, quoted_in
from oauth import Identity
from toolkits import Attachment, Conversation, Message
from toolkits.text import storable

PREFIX = "whatsapp:"

Form = Mapping[str, str]


def number(address: str) -> str:
    """Return `+15551234567` for `whatsapp:+15551234567`."""
    return address.removeprefix(PREFIX)


def is_for(sender: str, form: Form) -> bool:
    """Return whether a webhook is a WhatsApp message to our number, and not the status of one of ours.

    Both addresses have to be WhatsApp's, as the same number may receive SMS, whose senders can be forged. The prefix of
    `From` is followed by a phone number or a business-scoped id (`whatsapp:US.13491208655302741918`).
    """
    received = form.get("SmsStatus", "received") == "received" and "MessageStatus" not in form
    to_us = form.get("To") == PREFIX + sender and bool(form.get("MessageSid"))
    writer = form.get("From", "")
    from_whatsapp = writer.startswith(PREFIX) and writer != PREFIX
    return received and to_us and from_whatsapp and bool(form.get("Body") or media_count(form) or has_location(form))


def conversation_of(channel: str, form: Form) -> Conversation:
    """Return the conversation of a message: one for each person who writes to the number."""
    return Conversation(channel, number(form["To"]), number(form["From"]), shared=False)


def sender_of(channel: str, form: Form) -> Identity:
    """Return who wrote a message or pressed a button."""
    return Identity(channel, number(form["To"]), number(form["From"]))


def name_of(form: Form) -> str:
    """Return the profile name of the sender, or else their number."""
    return storable(form.get("ProfileName", "")) or number(form["From"])


def to_event(channel: str, form: Form, payload: str) -> Event:
    """Return a message as an event.

    The single word STOP is no command here, because people opt out of messages with it.
    https://help.twilio.com/articles/223134027-Twilio-support-for-opt-out-keywords-SMS-STOP-filtering-
    """
    where, stops = conversation_of(channel, form), is_stop("" if is_forwarded(form) else form.get("Body", ""))
    return Event(form["MessageSid"], where, payload, author=number(form["From"]), stops=stops)


def to_message(channel: str, form: Form, payload: str, attachments: Sequence[Attachment]) -> Message:
    """Return a message in channel-neutral form."""
    text = "" if is_forwarded(form) else form.get("Body", "").strip()
    command, argument = command_in(text)
    return Message(
        id=form["MessageSid"],
        text=text,
        sender=sender_of(channel, form),
        sender_name=name_of(form),
        conversation=conversation_of(channel, form),
        attachments=tuple(attachments),
        quoted=quoted_in(form),
        command=command,
        argument=argument,
        raw=payload,
    )
