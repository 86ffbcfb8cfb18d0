"""Sentences that all channels say to people in the same words."""

SENT_AGAIN = "(Sent again: I cannot tell whether it reached you before.)"

NOT_RENDERED = "Sorry, I have an answer, but this channel could not show it."

NOT_RATED = "This answer cannot be rated any more."
QUESTION_CLOSED = "This question is closed."
"""The answer to a press of a question that is not open."""

SIGN_IN_TERMS = (
    "The link is for you alone and works for ten minutes. After you sign in, the page may ask you to confirm here that "
    "it was you: use its button, or send me the code that it shows. Then I will answer."
)
"""The text beside a sign-in link."""

COMMAND_TAKEN = "I will answer you in a direct message."
"""The answer to a command that the platform delivers outside of a conversation."""

COMMAND_NOT_TAKEN = "I cannot send you a direct message right now, so I did nothing. Please try again in a moment."


STOPPING = "I am stopping."
"""The answer to a person who stops their turn by a button or a command."""

NOTHING_OF_YOURS = "I am not working on anything for you here."


def sign_in_request(label: str, request: str = "that") -> str:
    """Return the sentence that asks a person to sign in, without the full stop.

    Args:
        label: the provider's name, as people know it.
        request: what the sentence says after "To answer".
    """
    return f"To answer {request}, I need you to connect your {label} account"


def sign_in_button(label: str) -> str:
    """Return the text of a sign-in link or button."""
    return f"Connect {label}"


def answered_in(place: str) -> str:
    """Return the note that a shared conversation gets when an answer was sent to one person only.

    Args:
        place: the platform's name for a conversation with one person, like "a direct message".
    """
    return f"I answered you in {place}."


def answer_held(how: str) -> str:
    """Return the note that a shared conversation gets when a private answer cannot be sent to its person.

    Args:
        how: a sentence that says how the person can get the answer.
    """
    return f"The answer is for you alone, and I cannot reach you directly. {how}"
