"""What Twilio's error codes mean for a message, and what to do: https://www.twilio.com/docs/api/errors"""

from gateway.channels import DeliveryRefusedError, RecipientUnreachableError

PAGE = "https://www.twilio.com/docs/api/errors/{code}"

_MEANINGS = {
    21211: "the recipient's number is not valid.",
    21609: "Twilio cannot use the address of the status callback. UNDERSTUDY_BASE_URL has to be a public address whose "
    "host name has no underscores.",
    21610: "the person has opted out with STOP. Nothing can be sent until they write START.",
    63003: "WhatsApp does not know the recipient's number, or the person is no longer active there.",
    63014: "the person has blocked the sender. Nothing can be sent until they unblock it.",
    63015: "the person has not joined the sandbox, or joined it more than three days ago. They join by sending the "
    "sandbox's code, which Twilio's console shows.",
    63016: "the person last wrote more than 24 hours ago. WhatsApp then takes only an approved template.",
    63017: "the account sends more messages a second than Twilio takes.",
    63018: "the sender has reached a limit of WhatsApp or of the account.",
    63024: "the person is not on WhatsApp, has not accepted its terms, or has a version that is too old.",
    63032: "Meta delivers no marketing templates to this person, as part of an experiment. Wait until they write.",
    63049: "Meta does not deliver this marketing template to this person. Do not repeat it soon. If it is not for "
    "marketing, give it another category.",
}
# Nothing else reaches the person either, so a notice would fail, too.
_UNREACHABLE = frozenset({21211, 21610, 63003, 63014, 63015, 63016, 63024, 63032, 63049})
LIMITS = frozenset({63017, 63018})  # they end by themselves, so the message is tried again


def failure(code: int, reason: str) -> Exception:
    """Return the delivery error for an error code. Its text says what the code means, and names Twilio's page about it.

    Args:
        reason: what Twilio says itself, for codes that are not explained here.
    """
    text = f"{code}: {_MEANINGS.get(code, reason)} See {PAGE.format(code=code)}"
    if code in LIMITS:
        return ConnectionError(text)
    return RecipientUnreachableError(text) if code in _UNREACHABLE else DeliveryRefusedError(text)
