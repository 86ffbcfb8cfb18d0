"""What Twilio's error codes mean for a message, and what to do: https://www.twilio.com/docs/api/errors"""

from gateway.channels import DeliveryRefusedError, RecipientUnreachableError

PAGE = "https://www.twilio.com/docs/api/errors/{code}"

# Nothing else reaches the person either, so the conversation gets no notice.
_UNREACHABLE = {
    21211: "the recipient's number is not valid.",
    21610: "the person has opted out with STOP. Nothing can be sent until they write START.",
    63003: "WhatsApp does not know the recipient's number, or the person is no longer active there.",
    63014: "the person has blocked the sender. Nothing can be sent until they unblock it.",
    63015: "the person has not joined the sandbox, or joined it more than three days ago. They join by sending the "
    "sandbox's code, which Twilio's console shows, or write to a sender that is not a sandbox.",
    63016: "the person last wrote more than 24 hours ago. WhatsApp then takes only an approved template.",
    63024: "the person is not on WhatsApp, has not accepted its terms, or has a version that is too old.",
    63032: "Meta delivers no marketing templates to this person, as part of an experiment. Wait until they write.",
    63049: "Meta does not deliver this marketing template to this person. Do not repeat it soon. If it is not for "
    "marketing, give it another category.",
}
# These limits end by themselves, so the message is tried again.
_LIMITS = {
    63017: "the account sends more messages a second than Twilio takes.",
    63018: "the sender has reached a limit of WhatsApp or of the account.",
}


def failure(code: int, reason: str) -> Exception:
    """Return the delivery error for an error code, with what it means and Twilio's page about it.

    Args:
        reason: what Twilio says itself, for codes that are not explained here.
    """
    meaning = _UNREACHABLE.get(code) or _LIMITS.get(code) or reason
    kind = RecipientUnreachableError if code in _UNREACHABLE else DeliveryRefusedError
    return (ConnectionError if code in _LIMITS else kind)(f"{code}: {meaning} See {PAGE.format(code=code)}")
