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

QUESTION = "q"  # the first word of the data of a choice
MOST_BUTTONS = 100  # of a message, as python-telegram-bot found
LONGEST_ROW = 30  # characters of all labels that stand beside one another on a phone
LONGEST_NOTICE = 200  # characters: https://core.telegram.org/bots/api#answercallbackquery

NOBODY = "I cannot tell who you are here. Please answer under your own name."
ELSEWHERE = "This button works only in the chat where I asked."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A person pressed a button under a message of the bot.

    Args:
        argument: what follows the first word of its data: `Zm9v:0` of `q:Zm9v:0`.
        identity: who pressed it.
        name: what Telegram shows for them.
        conversation: where the message is; `None` if it is too old for Telegram to say.
    """

    argument: str
    identity: Identity
    name: str
    conversation: Conversation | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the person who pressed a button, and for nobody else.

    Args:
        is_refusal: whether the press does not count. The sentence then has to be closed.
    """

    text: str = ""
    is_refusal: bool = False


Handler = Callable[[ButtonPress], Awaitable[Notice]]
"""Commits what a press says, and returns what the person reads."""


class Buttons:
    """Takes presses, hands each to whoever made the button, and answers it.

    Args:
        handlers: by the first word of the data of their buttons.
    """

    def __init__(self, client: telegram.Bot, bot: parse.Bot, handlers: Mapping[str, Handler]) -> None:
        self._client = client
        self._bot = bot
        self._handlers = handlers

    def are_own(self, query: telegram.CallbackQuery) -> bool:
        """Return whether one of our buttons was pressed."""
        return _kind(query) in self._handlers

    async def take(self, query: telegram.CallbackQuery) -> Notice:
        """Take a press; return what the person reads. What is not one of our buttons says nothing."""
        if (handler := self._handlers.get(_kind(query))) is None:
            return Notice()
        if query.message is None:  # the button came into another chat by inline mode
            return Notice(ELSEWHERE, is_refusal=True)
        if query.from_user.is_bot:  # an account that several people share: anonymous admins, channels
            return Notice(NOBODY, is_refusal=True)
        user, message = query.from_user, query.message
        identity = Identity(parse.CHANNEL, self._bot.tenant, str(user.id))
        place = parse.conversation_of(self._bot, message) if isinstance(message, telegram.Message) else None
        _, _, argument = (query.data or "").partition(":")
        return await handler(ButtonPress(argument, identity, user.full_name, place))

    async def answer(self, query: telegram.CallbackQuery, notice: Notice) -> None:
        """Answer a press, for which the button waits: https://core.telegram.org/bots/api#answercallbackquery

        Telegram takes an answer for some seconds only, and one for each press.
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
    """Return the id of a question and the place of a choice of it; `None` if they are not our button's."""
    question_id, _, place = argument.partition(":")
    return (question_id, int(place)) if question_id and place.isascii() and place.isdecimal() else None


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _kind(query: telegram.CallbackQuery) -> str:
    """Return the first word of a button's data, which says whose it is."""
    return (query.data or "").partition(":")[0]


def _button(card_id: str, place: int, choice: Choice) -> InlineKeyboardButton:
    style = None if choice.style is ChoiceStyle.PLAIN else str(choice.style)
    return InlineKeyboardButton(choice.label, callback_data=f"{QUESTION}:{card_id}:{place}", style=style)
