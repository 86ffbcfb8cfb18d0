"""Send answers as messages: https://core.telegram.org/bots/api#sendmessage"""

import logging
from collections.abc import Sequence
from typing import Any

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated

from gateway.channels import LiveView, Presenter, SignIn, StoredFile
from gateway.channels.presenter import HELD_ANSWER
from gateway.channels.sentences import SIGN_IN_TERMS, answer_held, answered_in, sign_in_button, sign_in_request
from interfaces.telegram.errors import telegram_errors
from interfaces.telegram.format import HtmlRenderer, plain
from interfaces.telegram.live import TelegramLiveView
from interfaces.telegram.uploads import LONGEST_CAPTION, check_file, grouped, send_files
from oauth import Identity
from toolkits import Conversation, Message

TOPIC_GONE = ("message thread not found", "topic_deleted")
HTML_REFUSED = "can't parse entities"

ANSWERED = answered_in("our private chat")
ANSWER_HELD = answer_held("Press the button, then Start, and I will send it to you there.")

log = logging.getLogger(__name__)


class TelegramPresenter(Presenter):
    """Sends answers to chats of Telegram. A private answer goes to the private chat with its person."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._renderer = HtmlRenderer()

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        await self._send(conversation, text, reply_to)

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> None:
        # The id of a private chat is that of its person: https://core.telegram.org/bots/api#chat
        await self._call(int(identity.user_id), text)

    def check_file(self, file: StoredFile) -> None:
        check_file(file)

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        return grouped(files)

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return LONGEST_CAPTION

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> None:
        await self._send(conversation, caption, reply_to, files=files)

    async def send_private_files(
        self,
        identity: Identity,
        conversation: Conversation,
        files: Sequence[StoredFile],
        caption: str,
        *,
        first: bool,
        key: str,
    ) -> None:
        await self._call(int(identity.user_id), caption, files=files)

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        if reached:
            return await self._send(conversation, ANSWERED, reply_to)
        button = InlineKeyboardButton("Get the answer", url=await self._start_link(HELD_ANSWER))
        await self._send(conversation, ANSWER_HELD, reply_to, reply_markup=InlineKeyboardMarkup.from_button(button))
        return None

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        return conversation.id == identity.user_id

    async def send_sign_in(self, sign_in: SignIn) -> None:
        label = self._renderer.escape(sign_in.label)
        if sign_in.conversation.shared:
            # A bot cannot write first to somebody who never started it. This button makes them start it.
            # https://core.telegram.org/bots/features#deep-linking
            text = (
                f"{sign_in_request(label)}. Press the button, then Start, and I will send you a link that only you see."
            )
            address = await self._start_link(sign_in.ticket)
        else:
            text = f"{sign_in_request(label)}. {SIGN_IN_TERMS}"
            address = await sign_in.link()
        button = InlineKeyboardButton(sign_in_button(sign_in.label), url=address)
        await self._send(
            sign_in.conversation, text, sign_in.reply_to, reply_markup=InlineKeyboardMarkup.from_button(button)
        )

    def live_view(self, message: Message) -> LiveView:
        return TelegramLiveView(self._bot, message.conversation)

    async def _start_link(self, parameter: str) -> str:
        me = await self._bot.get_me()
        return f"https://t.me/{me.username}?start={parameter}"

    async def _send(self, conversation: Conversation, text: str, reply_to: str, **options: Any) -> None:
        chat, _, topic = conversation.id.partition("/")
        reply = None
        if conversation.shared and reply_to:
            reply = ReplyParameters(int(reply_to), allow_sending_without_reply=True)
        thread = int(topic) if topic else None
        await self._call(int(chat), text, message_thread_id=thread, reply_parameters=reply, **options)

    async def _call(self, chat_id: int, text: str, **options: Any) -> None:
        with telegram_errors():
            try:
                await self._send_message(chat_id, text, **options)
            except ChatMigrated as migrated:  # a group became a supergroup, with another id
                await self._send_message(migrated.new_chat_id, text, **options)
            except BadRequest as error:
                if not any(reason in error.message.lower() for reason in TOPIC_GONE):
                    raise
                # The topic was deleted. Whoever could read it can read the whole group.
                await self._send_message(chat_id, text, **{**options, "message_thread_id": None})

    async def _send_message(self, chat_id: int, text: str, **options: Any) -> None:
        """Send HTML; as plain text, if Telegram cannot parse it, and so has sent nothing."""
        try:
            await self._send_as(ParseMode.HTML, chat_id, text, **options)
        except BadRequest as error:
            if error.__cause__ is not None or HTML_REFUSED not in error.message.lower():
                raise
            log.warning("Telegram refuses the format of a message, which is sent as plain text: %s", error.message)
            await self._send_as(None, chat_id, plain(text), **options)

    async def _send_as(
        self, parse_mode: str | None, chat_id: int, text: str, *, files: Sequence[StoredFile] = (), **options: Any
    ) -> None:
        options["parse_mode"] = parse_mode
        if files:
            await send_files(self._bot, files, chat_id, text, **options)
        else:
            options["link_preview_options"] = LinkPreviewOptions(is_disabled=True)
            await self._bot.send_message(chat_id=chat_id, text=text, **options)
