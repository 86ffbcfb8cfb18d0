"""The sentences that channels say to people in the same words."""

SENT_AGAIN = "(Sent again: I cannot tell whether it reached you before.)"

NOT_RENDERED = "Sorry, I have an answer, but this channel could not show it."

NOT_RATED = "This answer cannot be rated any more."
QUESTION_CLOSED = "This question is closed."
"""The answer to a press of a question that is not open."""

SIGN_IN_TERMS = (
    "The link is for you alone and works for ten minutes. After you sign in, the page may ask you to confirm here that "
    "it was you: use its button, or send me the code that it shows. Then I answer."
)
"""What stands beside a sign-in link."""

COMMAND_TAKEN = "I will answer you in a direct message."
"""The answer to a command that was given outside the conversation."""

COMMAND_NOT_TAKEN = "I cannot send you a direct message right now, so I did nothing. Please try again in a moment."


STOPPING = "I stop."
"""The answer to whoever presses a button that stops what the agent does for them."""

NOTHING_OF_YOURS = "There is nothing of yours to stop here."


def sign_in_request(label: str, request: str = "that") -> str:
    """Return why a person has to sign in, without the full stop.

    Args:
        label: what people call the provider.
        request: what they asked for, as "To answer …" goes on.
    """
    return f"To answer {request}, I need you to connect your {label} account"


def sign_in_button(label: str) -> str:
    """Return the text of a sign-in link or button."""
    return f"Connect {label}"


def answered_in(place: str) -> str:
    """Return the note that stands in a shared conversation in place of an answer that went to one person alone.

    Args:
        place: what the platform calls the conversation with one person, like "a direct message".
    """
    return f"I answered you in {place}."


def answer_held(how: str) -> str:
    """Return the note that stands in a shared conversation in place of an answer that cannot be sent to its person.

    Args:
        how: a sentence that says how they get it.
    """
    return f"The answer is for you alone, and I cannot reach you directly. {how}"
