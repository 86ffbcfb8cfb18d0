"""Send the cards of questions, and replace the cards of closed questions."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from gateway.channels.presenter import Presenter
from gateway.channels.question import Choice, ChoiceStyle, QuestionCard
from gateway.storage.tables import OutboxKind
from oauth import Identity
from toolkits import Conversation


def card_body(card: QuestionCard) -> dict[str, Any]:
    """Return the part of a row's body from which `card_of` makes the card. The card's id is the row's `question_id`."""
    choices = [[choice.label, choice.style] for choice in card.choices]
    return {"text": card.text, "choices": choices, "until": card.until.isoformat()}


def card_of(row: Row[Any], text: str | None = None) -> QuestionCard:
    """Return the card that a row sends.

    Args:
        text: the card's text; by default the text in the row.
    """
    body = json.loads(row.body)
    choices = [Choice(label, ChoiceStyle(style)) for label, style in body["choices"]]
    return QuestionCard(row.question_id, text or body["text"], choices, datetime.fromisoformat(body["until"]))


async def send_card(presenter: Presenter, row: Row[Any], conversation: Conversation, text: str, key: str) -> str | None:
    """Send the card of a question; return the platform's id of the message."""
    card, body = card_of(row, text), json.loads(row.body)
    if row.kind == OutboxKind.QUESTION:
        return await presenter.send_question(conversation, card, body["reply_to"], key=key)
    identity = recipient(row, conversation)
    return await presenter.send_private_question(identity, conversation, card, first=body["first"], key=key)


async def close_card(presenter: Presenter, card: Row[Any] | None, conversation: Conversation, text: str) -> None:
    """Replace a card by a text that says what was decided.

    Args:
        card: the row that sent the card. Nothing happens if the row is gone, or the platform gave the message no id.
    """
    if card is not None and card.platform_id is not None:
        identity = recipient(card, conversation) if card.kind == OutboxKind.PRIVATE_QUESTION else None
        await presenter.close_question(conversation, identity, card.platform_id, text)


def recipient(row: Row[Any], conversation: Conversation) -> Identity:
    """Return the person that a private row is for."""
    return Identity(conversation.channel, row.recipient_tenant, row.recipient_user_id)
