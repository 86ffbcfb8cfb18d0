"""Send answers as messages: https://core.telegram.org/bots/api#sendmessage"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup

from gateway.channels import (
    DeliveryRefusedError,
    LiveView,
    Presenter,
    PreviewGoneError,
    QuestionCard,
    ReturnLink,
    SignIn,
    StoredFile,
)
from gateway.channels.presenter import HELD_ANSWER
from gateway.channels.sentences import SIGN_IN_TERMS, answer_held, answered_in, sign_in_button, sign_in_request
from interfaces.telegram.buttons import keyboard
from interfaces.telegram.format import HtmlRenderer
from interfaces.telegram.live import TelegramLiveView
from interfaces.telegram.posting.messages import Poster, place_of
from interfaces.telegram.posting.moved import MovedChats
from interfaces.telegram.posting.uploads import LONGEST_CAPTION, check_file, grouped
from oauth import Identity
from toolkits import Conversation, Message

KEYBOARD_REFUSED = ("BUTTON_", "REPLY_MARKUP_")  # the names of such errors contain one of these

ANSWERED = answered_in("our private chat")
ANSWER_HELD = answer_held("Press the button, then Start, and I will send it to you there.")

log = logging.getLogger(__name__)


class TelegramPresenter(Presenter):
    """Sends answers to chats of Telegram. A private answer goes to the private chat with the person."""

    def __init__(self, bot: Bot, moved: MovedChats) -> None:
        self._bot = bot
        self._poster = Poster(bot, moved)
        self._renderer = HtmlRenderer()

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    def reserve(self, conversation: Conversation, recipient: Identity | None = None, *, is_edit: bool = False) -> float:
        return self._poster.reserve(int(recipient.user_id) if recipient is not None else place_of(conversation)[0])

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str:
        return await self._poster.post(conversation, text, reply_to)

    async def complete_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        await self._poster.edit(place_of(conversation)[0], platform_id, text)
        return platform_id

    async def remove_preview(self, conversation: Conversation, platform_id: str | None, since: datetime) -> None:
        """Delete a preview. It stays if its id is not known, because a bot cannot read what it has sent."""
        if platform_id is not None:
            await self._poster.delete(conversation, platform_id)
        else:
            log.warning("a preview may stay in %s, as the process died before its id was known", conversation)

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str:
        # The id of a private chat is that of its person: https://core.telegram.org/bots/api#chat
        return await self._poster.post_to(int(identity.user_id), text)

    def check_file(self, file: StoredFile) -> None:
        check_file(file)

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        return grouped(files)

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return LONGEST_CAPTION

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> str:
        return await self._poster.post(conversation, caption, reply_to, files=files)

    async def send_private_files(
        self,
        identity: Identity,
        conversation: Conversation,
        files: Sequence[StoredFile],
        caption: str,
        *,
        first: bool,
        key: str,
    ) -> str:
        return await self._poster.post_to(int(identity.user_id), caption, files=files)

    async def send_private_note(
        self,
        identity: Identity,
        conversation: Conversation,
        reply_to: str,
        *,
        reached: bool,
        card: QuestionCard | None = None,
    ) -> str | None:
        markup = keyboard(card) if card is not None else None
        rows = list(markup.inline_keyboard) if markup is not None else []
        if not reached:
            rows = [(InlineKeyboardButton("Get the answer", url=await self._start_link(HELD_ANSWER)),), *rows]
        note = ANSWERED if reached else ANSWER_HELD
        return await self._poster.post(
            conversation, note, reply_to, reply_markup=InlineKeyboardMarkup(rows) if rows else None
        )

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        return await self._ask(card, partial(self._poster.post, conversation, reply_to=reply_to))

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        return await self._ask(card, partial(self._poster.post_to, int(identity.user_id)))

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        """Replace the buttons by the decision: https://core.telegram.org/bots/api#editmessagetext

        A message that is gone, or that is too old to be edited, stays as it is.
        """
        chat = int(identity.user_id) if identity is not None else place_of(conversation)[0]
        try:
            await self._poster.edit(chat, platform_id, text)
        except (PreviewGoneError, DeliveryRefusedError) as refusal:
            log.info("the question %s in %s keeps its buttons: %s", platform_id, chat, refusal)

    async def _ask(self, card: QuestionCard, send: Callable[..., Awaitable[str]]) -> str:
        """Send a question with buttons, or with the choices as words to type if Telegram accepts no such buttons."""
        if (markup := keyboard(card)) is not None:
            try:
                return await send(text=card.text, reply_markup=markup)
            except DeliveryRefusedError as refusal:
                if not any(name in str(refusal).upper() for name in KEYBOARD_REFUSED):
                    raise
                log.warning("Telegram refuses the buttons of a question, which is sent as text: %s", refusal)
        return await send(text=self.in_words(card))

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        return conversation.id == identity.user_id

    async def send_sign_in(self, sign_in: SignIn) -> None:
        label = self._renderer.escape(sign_in.label)
        if sign_in.conversation.shared:
            # A bot cannot write first to somebody who never started it. This button lets them start it.
            # https://core.telegram.org/bots/features#deep-linking
            text = (
                f"{sign_in_request(label)}. Press the button, then Start, and I will send you a link that only you see."
            )
            address = await self._start_link(sign_in.ticket)
        else:
            text = f"{sign_in_request(label)}. {SIGN_IN_TERMS}"
            address = await sign_in.link()
            if not _may_have_button(address):
                await self._poster.post(
                    sign_in.conversation, f"{text}\n{self._renderer.escape(address)}", sign_in.reply_to
                )
                return
        button = InlineKeyboardButton(sign_in_button(sign_in.label), url=address)
        markup = InlineKeyboardMarkup.from_button(button)
        await self._poster.post(sign_in.conversation, text, sign_in.reply_to, reply_markup=markup)

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        # Telegram also shows the button Start to people who have started the bot before.
        # https://core.telegram.org/bots/features#deep-linking
        if code is None:
            return ReturnLink(await self._bot_link(), "Telegram")
        return ReturnLink(await self._start_link(code), "Telegram", "Press Start there.", brings_code=True)

    def live_view(self, message: Message) -> LiveView:
        return TelegramLiveView(self._poster, message)

    async def _start_link(self, parameter: str) -> str:
        return f"{await self._bot_link()}?start={parameter}"

    async def _bot_link(self) -> str:
        return f"https://t.me/{(await self._bot.get_me()).username}"


def _may_have_button(address: str) -> bool:
    """Return whether Telegram takes an address for a button: it refuses hosts without a dot, like localhost.

    Telegram does not document this: see https://github.com/rubenlagus/TelegramBots/issues/302.
    """
    return "." in (urlsplit(address).hostname or "")
