"""Build messages with buttons from blocks: https://docs.slack.dev/reference/block-kit"""

import re
from collections.abc import Iterator
from typing import Any

from gateway.channels import ChoiceStyle, Feedback, MalformedEventError, QuestionCard, Rating, check_id
from interfaces.slack.interactivity.press import ButtonPress

QUESTION = "question"  # the first word of the `action_id` of a choice
STOP = "stop"  # the `action_id` of the button that stops a turn
FEEDBACK = "feedback"  # the `action_id` of the thumbs below an answer
SIGN_IN = "sign_in"  # the `action_id` of a sign-in button, whose press is only acknowledged

LONGEST_SECTION = 3000  # UTF-16 code units of the text of a section
LONGEST_LABEL = 75  # characters
MOST_BUTTONS = 25  # of a message
MOST_OPTIONS = 100  # of a menu

FENCE = "```"

Block = dict[str, Any]

_UNIT = re.compile(r"<[^<>]*>|&\w+;|.", re.DOTALL)  # what must not be split: a link, an escaped character
_PLACE = re.compile("[0-9]{1,3}")


def sections(text: str) -> list[Block]:
    """Return a rendered text as sections, split between two lines where possible."""
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": each}, "expand": True}  # it is shown in full
        for each in _split(text)
    ]


def question(card: QuestionCard) -> list[Block]:
    """Return a question with a button for each choice, or with a menu if there are more than fit.

    https://docs.slack.dev/reference/block-kit/blocks/actions-block

    Args:
        card: with up to `MOST_OPTIONS` choices.
    """
    blocks = sections(card.text)
    if card.choices:
        fits = len(card.choices) <= MOST_BUTTONS
        elements = list(_buttons(card)) if fits else [_menu(card)]
        blocks.append({"type": "actions", "elements": elements})
    return blocks


def stoppable(text: str) -> list[Block]:
    """Return a text of a running turn with a button that stops it."""
    button = {"type": "button", "action_id": STOP, "value": STOP, "text": _plain("Stop")}
    return [*sections(text), {"type": "actions", "elements": [button]}]


def link_button(text: str, label: str, address: str) -> list[Block]:
    """Return a text with a button that opens a page.

    https://docs.slack.dev/reference/block-kit/block-elements/button-element
    """
    button = {"type": "button", "action_id": SIGN_IN, "text": _plain(label), "url": address, "style": "primary"}
    return [*sections(text), {"type": "actions", "elements": [button]}]


def rated(text: str) -> list[Block]:
    """Return an answer with thumbs: https://docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element"""
    thumbs = {
        "type": "feedback_buttons",
        "action_id": FEEDBACK,
        "positive_button": {"text": _plain("Good answer"), "value": str(Rating.UP)},
        "negative_button": {"text": _plain("Bad answer"), "value": str(Rating.DOWN)},
    }
    return [*sections(text), {"type": "context_actions", "elements": [thumbs]}]


def given_rating(press: ButtonPress) -> Feedback | None:
    """Return the rating that a press of a thumb gives; `None` if the thumb is not in a message of a conversation.

    Raises:
        MalformedEventError: if it is not one of our thumbs.
    """
    if press.conversation is None or not press.message:
        return None
    try:
        rating = Rating(press.value)
    except ValueError:
        raise MalformedEventError(f"a rating is {press.value[:40]!r}") from None
    return Feedback(press.identity, press.conversation, rating, platform_id=press.message)


def chosen(press: ButtonPress) -> tuple[str, int]:
    """Return the id of the question and the place of the choice that was pressed.

    Raises:
        MalformedEventError: if it is not one of our buttons.
    """
    question_id, place = press.value, press.argument
    if not place:  # in a menu
        question_id, _, place = press.value.partition(".")
    check_id("the question", question_id)
    if not _PLACE.fullmatch(place):
        raise MalformedEventError(f"the place of a choice is {place[:40]!r}")
    return question_id, int(place)


def _buttons(card: QuestionCard) -> Iterator[Block]:
    for place, choice in enumerate(card.choices):
        style = {} if choice.style is ChoiceStyle.PLAIN else {"style": str(choice.style)}
        action = {"type": "button", "action_id": f"{QUESTION}.{place}", "value": card.id}
        yield {**action, "text": _plain(choice.label), **style}


def _menu(card: QuestionCard) -> Block:
    """Return a menu of the choices: https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element"""
    return {
        "type": "static_select",
        "action_id": QUESTION,
        "placeholder": _plain("Choose"),
        "options": [
            {"text": _plain(choice.label), "value": f"{card.id}.{place}"} for place, choice in enumerate(card.choices)
        ],
    }


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"}


def _split(text: str) -> list[str]:
    """Split a rendered text. A block of code that is split is a block of code in both parts."""
    parts, room = [""], LONGEST_SECTION - 2 * len(f"\n{FENCE}")
    for piece in _pieces(text, room):
        if _units(parts[-1] + piece) > room:
            is_code = parts[-1].count(FENCE) % 2
            parts[-1] += f"\n{FENCE}" if is_code else ""
            parts.append(f"{FENCE}\n" if is_code else "")
        parts[-1] += piece
    return parts


def _pieces(text: str, most: int) -> Iterator[str]:
    """Yield the lines of a text; a line that is too long in the smallest pieces."""
    for line in text.splitlines(keepends=True):
        yield from [line] if _units(line) <= most - len(FENCE) - 1 else _UNIT.findall(line)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
