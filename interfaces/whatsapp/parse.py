"""Read Twilio's webhooks for WhatsApp: https://www.twilio.com/docs/messaging/guides/webhook-request"""

from collections.abc import Mapping, Sequence

from gateway.channels import Event, check_id
from gateway.channels.commands import command_in
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


def is_service(sender: str) -> bool:
    """Return whether a sender is a Messaging Service (MG…), and not a number."""
    return sender.startswith("MG")


def is_for(sender: str, form: Form) -> bool:
    """Return whether a webhook is a WhatsApp message to our sender, and not the status of one of ours.

    Both addresses have to be WhatsApp's, as the same number may receive SMS, whose senders can be forged. The prefix of
    `From` is followed by a phone number or a business-scoped id (`whatsapp:US.13491208655302741918`).
    """
    received = form.get("SmsStatus", "received") == "received" and "MessageStatus" not in form
    if is_service(sender):
        to_us = form.get("MessagingServiceSid") == sender and form.get("To", "").startswith(PREFIX)
    else:
        to_us = form.get("To") == PREFIX + sender
    writer = form.get("From", "")
    from_whatsapp = writer.startswith(PREFIX) and writer != PREFIX and bool(form.get("MessageSid"))
    return received and to_us and from_whatsapp and bool(form.get("Body") or media_count(form) or has_location(form))


def address_of(channel: str, form: Form) -> Identity:
    """Return the address from which a message or a press came, as an identity: see `Host.recognize`.

    Raises:
        MalformedEventError: if it is no valid id.
    """
    check_id("the sender", number(form["From"]))
    return Identity(channel, number(form["To"]), number(form["From"]))


def platform_id_of(form: Form) -> str | None:
    """Return the business-scoped id of the person who wrote; `None` if Twilio does not tell it.

    It belongs to one person with one phone number: whoever gets the number later has another id.
    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/
    Twilio gives it in `ExternalUserId`, and also in `From` if the phone number is hidden.

    Raises:
        MalformedEventError: if it is no valid id.
    """
    writer = number(form["From"])
    found = number(form.get("ExternalUserId", "")) or ("" if writer.startswith("+") else writer)
    if found:
        check_id("the sender's id", found)
    return found or None


def conversation_of(sender: Identity) -> Conversation:
    """Return the conversation of a person with a number of ours."""
    return Conversation(sender.channel, sender.tenant, sender.user_id, shared=False)


def name_of(form: Form) -> str:
    """Return the profile name of the sender, or else their number."""
    return storable(form.get("ProfileName", "")) or number(form["From"])


def to_event(form: Form, payload: str, sender: Identity) -> Event:
    """Return a message as an event.

    Args:
        sender: the person who wrote it.
    """
    text = _written(form)
    command, _ = command_in(text)
    return Event(
        form["MessageSid"],
        conversation_of(sender),
        payload,
        author=sender.user_id,
        stops=command == "stop",
        text=text,
        command=command,
    )


def _written(form: Form) -> str:
    """Return what the sender wrote; an empty text if they forwarded what somebody else wrote."""
    return "" if is_forwarded(form) else form.get("Body", "").strip()


def to_message(form: Form, payload: str, sender: Identity, attachments: Sequence[Attachment]) -> Message:
    """Return a message in channel-neutral form."""
    text = _written(form)
    command, argument = command_in(text)
    return Message(
        id=form["MessageSid"],
        text=text,
        sender=sender,
        sender_name=name_of(form),
        conversation=conversation_of(sender),
        attachments=tuple(attachments),
        quoted=quoted_in(form),
        command=command,
        argument=argument,
        raw=payload,
    )
