"""Buttons under messages, and presses of them: https://core.telegram.org/bots/api#callbackquery"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from gateway.channels import Choice, ChoiceStyle, DeliveryError, QuestionCard
from gateway.logs import describe
from interfaces.telegram import parse
from interfaces.telegram.errors import telegram_errors
from oauth import Identity
from toolkits import Conversation

QUESTION = "q"  # the first word of a choice's `callback_data`
MOST_BUTTONS = 100  # in a message, according to python-telegram-bot
LONGEST_ROW = 30  # characters of all labels in one row on a phone
LONGEST_NOTICE = 200  # characters: https://core.telegram.org/bots/api#answercallbackquery

NOBODY = "I cannot tell who you are here. Please answer under your own name."
ELSEWHERE = "This button works only in the chat where I asked."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A person pressed a button under a message of the bot.

    Args:
        argument: what follows the first word of its `callback_data`: `Zm9v:0` of `q:Zm9v:0`.
        identity: who pressed it.
        name: their name, as Telegram shows it.
        conversation: where the message is; `None` if it is too old for Telegram to say.
    """

    argument: str
    identity: Identity
    name: str
    conversation: Conversation | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that only the person who pressed a button sees.

    Args:
        is_refusal: whether the press does not count. Then the person has to close the sentence.
    """

    text: str = ""
    is_refusal: bool = False


Handler = Callable[[ButtonPress], Awaitable[Notice]]
"""Commits a press, and returns the sentence for the person."""


class Buttons:
    """Receives presses, passes each to the handler of its button, and answers it.

    Args:
        handlers: the handlers, by the first word of their buttons' `callback_data`.
    """

    def __init__(self, client: telegram.Bot, bot: parse.Bot, handlers: Mapping[str, Handler]) -> None:
        self._client = client
        self._bot = bot
        self._handlers = handlers

    def are_own(self, query: telegram.CallbackQuery) -> bool:
        """Return whether one of our buttons was pressed."""
        return _kind(query) in self._handlers

    async def take(self, query: telegram.CallbackQuery) -> Notice:
        """Handle a press; return the sentence for the person. It is empty for a button that is not the gateway's."""
        if (handler := self._handlers.get(_kind(query))) is None:
            return Notice()
        if query.message is None:  # the button was sent to another chat by inline mode
            return Notice(ELSEWHERE, is_refusal=True)
        if query.from_user.is_bot:  # an account that several people share: anonymous admins, channels
            return Notice(NOBODY, is_refusal=True)
        user, message = query.from_user, query.message
        identity = Identity(self._bot.channel, self._bot.tenant, str(user.id))
        place = parse.conversation_of(self._bot, message) if isinstance(message, telegram.Message) else None
        _, _, argument = (query.data or "").partition(":")
        return await handler(ButtonPress(argument, identity, user.full_name, place))

    async def answer(self, query: telegram.CallbackQuery, notice: Notice) -> None:
        """Answer a press, for which the button waits: https://core.telegram.org/bots/api#answercallbackquery

        Telegram accepts one answer for each press, and only within some seconds.
        """
        try:
            with telegram_errors():
                text = shortened(notice.text, LONGEST_NOTICE) or None
                await self._client.answer_callback_query(query.id, text, show_alert=notice.is_refusal)
        except (DeliveryError, ConnectionError) as error:
            log.info("the press of a button was not answered: %s", describe(error))


def keyboard(card: QuestionCard) -> InlineKeyboardMarkup | None:
    """Return a button for each choice of a question; `None` if there are none, or more than Telegram shows.

    https://core.telegram.org/bots/api#inlinekeyboardbutton
    """
    if not 0 < len(card.choices) <= MOST_BUTTONS:
        return None
    buttons = [_button(card.id, place, choice) for place, choice in enumerate(card.choices)]
    fits = sum(len(choice.label) for choice in card.choices) <= LONGEST_ROW
    return InlineKeyboardMarkup.from_row(buttons) if fits else InlineKeyboardMarkup.from_column(buttons)


def chosen(argument: str) -> tuple[str, int] | None:
    """Return the id of a question and the place of a choice of it; `None` if the argument is not that of a choice."""
    question_id, _, place = argument.partition(":")
    return (question_id, int(place)) if question_id and place.isascii() and place.isdecimal() else None


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _kind(query: telegram.CallbackQuery) -> str:
    """Return the first word of a button's `callback_data`, which names its handler."""
    return (query.data or "").partition(":")[0]


def _button(card_id: str, place: int, choice: Choice) -> InlineKeyboardButton:
    style = None if choice.style is ChoiceStyle.PLAIN else str(choice.style)
    return InlineKeyboardButton(choice.label, callback_data=f"{QUESTION}:{card_id}:{place}", style=style)
