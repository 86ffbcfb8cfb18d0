"""The words with which people opt out, opt in and ask for help: STOP, START and HELP.

On WhatsApp, Twilio handles these words itself only for the senders of a Messaging Service with Advanced Opt-Out:
https://support.twilio.com/hc/en-us/articles/360034798533. It then answers them, refuses messages to people who opted
out (error 21610), and says in the webhook which kind of word it was:
https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out.

Meta asks every business to respect a person's request to opt out: https://business.whatsapp.com/policy
"""

from collections.abc import Mapping
from enum import StrEnum

from interfaces.whatsapp.attachments import media_count
from interfaces.whatsapp.quoted import is_forwarded

OPTED_OUT = "You will get no more messages from me. Write START to get messages again."
OPTED_IN = "You will get messages from me again. Write STOP to get no more."
USAGE = "Write to me what you need, /help to see my commands, or STOP to get no more messages from me."

Form = Mapping[str, str]


class Keyword(StrEnum):
    #: The person wants to get no messages.
    STOP = "STOP"
    #: The person wants to get messages again.
    START = "START"
    #: The person asks what this is, and how to opt out.
    HELP = "HELP"


# Of the words that Twilio knows by default, those that people write to an assistant for no other reason:
# https://help.twilio.com/articles/223134027-Twilio-support-for-opt-out-keywords-SMS-STOP-filtering-
_WORDS = {
    "STOP": Keyword.STOP,
    "STOPALL": Keyword.STOP,
    "UNSUBSCRIBE": Keyword.STOP,
    "OPTOUT": Keyword.STOP,
    "START": Keyword.START,
    "UNSTOP": Keyword.START,
    "HELP": Keyword.HELP,
}


def keyword_in(form: Form) -> Keyword | None:
    """Return the keyword that a message consists of; `None` if it is another message.

    A pressed button, a picture with a caption and a forwarded message are no keywords, unless Twilio says so.
    """
    if (reported := form.get("OptOutType", "")) in Keyword.__members__:
        return Keyword(reported)
    if "ButtonPayload" in form or media_count(form) or is_forwarded(form):
        return None
    return _WORDS.get(form.get("Body", "").strip().upper())


def is_answered_by_twilio(form: Form) -> bool:
    """Return whether Twilio has handled a keyword, and answered it."""
    return "OptOutType" in form
