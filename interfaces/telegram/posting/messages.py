"""Post, edit and delete messages: https://core.telegram.org/bots/api#sendmessage"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import telegram
from telegram import Bot, LinkPreviewOptions, ReplyParameters
from telegram.constants import ChatAction, ParseMode
from telegram.error import BadRequest

from gateway.channels import DeliveryRefusedError, PreviewGoneError, StoredFile
from gateway.channels.live import Key, Limit, Pacer
from interfaces.telegram import parse
from interfaces.telegram.errors import telegram_errors
from interfaces.telegram.format import plain
from interfaces.telegram.posting.moved import MovedChats
from interfaces.telegram.posting.uploads import send_files
from toolkits import Conversation

TOPIC_GONE = ("message thread not found", "topic_deleted", "topic_closed")
TOPIC_MARK = "(From a closed or deleted topic.)"
HTML_REFUSED = "can't parse entities"
NOT_MODIFIED = "message is not modified"
# https://core.telegram.org/bots/api#deletemessage: 48 hours in groups
NOT_THERE = ("message to edit not found", "message to delete not found", "message can't be", "message_id_invalid")

# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
LIMITS = {
    "chat": Limit(most=1, seconds=1.1),  # of previews and the edits that complete them
    "group": Limit(most=20, seconds=60.0, previews=10),
    "all": Limit(most=30, seconds=1.0, previews=20),
}

ALL: Key = ("all", "")  # answers do not wait for it: an operator may have bought a higher limit
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

log = logging.getLogger(__name__)


def place_of(conversation: Conversation) -> tuple[int, int | None]:
    """Return the chat id of a conversation, and the topic id if it is a topic of a group."""
    chat, _, topic = conversation.id.partition("/")
    return int(chat), int(topic) if topic else None


class Poster:
    """Posts, edits and deletes the messages of the bot, within the limits that Telegram documents."""

    def __init__(self, bot: Bot, moved: MovedChats) -> None:
        self._bot = bot
        self._moved = moved
        self._pacer = Pacer(LIMITS)

    async def ready_for_preview(self, conversation: Conversation) -> None:
        """Wait until the rate limits allow a preview in a chat."""
        chat = str(place_of(conversation)[0])
        await self._pacer.preview(("chat", chat), ALL, *([("group", chat)] if conversation.shared else []))

    def hold_previews(self, conversation: Conversation, seconds: float) -> None:
        """Pause the previews in a chat for some seconds."""
        self._pacer.hold(("chat", str(place_of(conversation)[0])), seconds)

    async def send(self, conversation: Conversation, text: str, reply_to: str, **options: Any) -> str:
        """Send a message that is not a preview, within the rate limits; return its id.

        Raises:
            DeliveryError: see `Presenter`.
        """
        chat = str(place_of(conversation)[0])
        if conversation.shared:
            await self._pacer.answer(("group", chat))
        self._pacer.count(("chat", chat), ALL)
        return await self.post(conversation, text, reply_to, **options)

    async def post(
        self, conversation: Conversation, text: str, reply_to: str, *, is_preview: bool = False, **options: Any
    ) -> str:
        """Post a message without waiting for the rate limits; return its id. The arguments are those of `send`.

        A message for a topic that is closed or deleted is posted in its group, which everybody in the topic can read. A
        preview is not.

        Args:
            reply_to: the id of the message that it replies to in a group; empty if it replies to none.
            options: further arguments of `Bot.send_message`, or `files`.
        """
        chat, topic = place_of(conversation)
        reply_to = reply_to if conversation.shared else ""
        try:
            return await self.post_to(chat, text, reply_to, message_thread_id=topic, **options)
        except DeliveryRefusedError as refusal:
            is_gone = topic is not None and any(reason in str(refusal).lower() for reason in TOPIC_GONE)
            if is_preview or not is_gone:
                raise
            return await self.post_to(chat, f"{TOPIC_MARK}\n{text}".strip(), **options)

    async def post_to(self, chat_id: int, text: str, reply_to: str = "", **options: Any) -> str:
        """Post a message to a chat; return its id. The arguments are those of `post`."""

        async def post(chat_id: int) -> str:
            number = parse.number_in(chat_id, reply_to) if reply_to else None
            reply = ReplyParameters(number, allow_sending_without_reply=True) if number is not None else None
            with telegram_errors():
                return await self._post(chat_id, text, reply_parameters=reply, **options)

        return await self._moved.call(chat_id, post)

    async def show_typing(self, conversation: Conversation) -> None:
        """Show for five seconds that the bot is typing: https://core.telegram.org/bots/api#sendchataction"""
        chat, topic = place_of(conversation)

        async def show(chat_id: int) -> None:
            with telegram_errors():
                await self._bot.send_chat_action(chat_id, ChatAction.TYPING, message_thread_id=topic)

        await self._moved.call(chat, show)

    async def complete(self, conversation: Conversation, message_id: str, text: str) -> None:
        """Replace a preview by the answer, within the rate limits.

        Raises:
            PreviewGoneError: if it cannot be edited any more.
            DeliveryError: see `Presenter`.
        """
        chat = str(place_of(conversation)[0])
        await self._pacer.answer(("chat", chat), *([("group", chat)] if conversation.shared else []))
        self._pacer.count(ALL)
        await self.edit(place_of(conversation)[0], message_id, text)

    async def edit(self, chat_id: int, message_id: str, text: str, **options: Any) -> None:
        """Replace the text of a message. Buttons are removed unless `options` have them.

        Raises:
            PreviewGoneError: if it is gone, or cannot be edited any more.
        """

        async def edit(chat_id: int) -> None:
            if (number := parse.number_in(chat_id, message_id)) is None:
                raise PreviewGoneError("the group became a supergroup")
            options.update(chat_id=chat_id, message_id=number, link_preview_options=NO_PREVIEW)
            with telegram_errors():
                try:
                    await _in_html(self._bot.edit_message_text, text, **options)
                except BadRequest as error:
                    if any(reason in error.message.lower() for reason in NOT_THERE):
                        raise PreviewGoneError(error.message) from error
                    if NOT_MODIFIED not in error.message.lower():
                        raise

        await self._moved.call(chat_id, edit)

    async def delete(self, conversation: Conversation, message_id: str) -> None:
        """Delete a message, unless it is gone or cannot be deleted any more."""
        chat, _ = place_of(conversation)

        async def remove(chat_id: int) -> None:
            if (number := parse.number_in(chat_id, message_id)) is None:
                log.info("message %s cannot be deleted, as its group became a supergroup", message_id)
                return
            with telegram_errors():
                try:
                    await self._bot.delete_message(chat_id, number)
                except BadRequest as error:
                    if not any(reason in error.message.lower() for reason in NOT_THERE):
                        raise

        await self._moved.call(chat, remove)

    async def _post(self, chat_id: int, text: str, *, files: Sequence[StoredFile] = (), **options: Any) -> str:
        call = (
            partial(_send_files, self._bot, files)
            if files
            else partial(self._bot.send_message, link_preview_options=NO_PREVIEW)
        )
        sent: telegram.Message = await _in_html(call, text, chat_id=chat_id, **options)
        return parse.message_id(sent.chat, sent.message_id)


async def _in_html(call: Callable[..., Awaitable[Any]], text: str, **options: Any) -> Any:
    """Call the Bot API with a text in HTML, or in plain text if Telegram cannot parse it, and so has done nothing."""
    try:
        return await call(text=text, parse_mode=ParseMode.HTML, **options)
    except BadRequest as error:
        if error.__cause__ is not None or HTML_REFUSED not in error.message.lower():
            raise
        log.warning("Telegram refuses the format of a message, which is sent as plain text: %s", error.message)
        return await call(text=plain(text), parse_mode=None, **options)


async def _send_files(bot: Bot, files: Sequence[StoredFile], *, text: str, **options: Any) -> telegram.Message:
    return await send_files(bot, files, caption=text, **options)
