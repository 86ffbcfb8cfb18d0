"""Post, edit and delete messages: https://core.telegram.org/bots/api#sendmessage"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import telegram
from telegram import Bot, LinkPreviewOptions, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated

from gateway.channels import PreviewGoneError, StoredFile
from gateway.channels.live import Key, Limit, Pacer
from interfaces.telegram.errors import telegram_errors
from interfaces.telegram.format import plain
from interfaces.telegram.posting.uploads import send_files
from toolkits import Conversation

TOPIC_GONE = ("message thread not found", "topic_deleted")
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

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
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

    async def post(self, conversation: Conversation, text: str, reply_to: str, **options: Any) -> str:
        """Post a message without waiting for the rate limits; return its id. The arguments are those of `send`.

        Args:
            reply_to: the id of the message that it replies to in a group; empty if it replies to none.
            options: further arguments of `Bot.send_message`, or `files`.
        """
        chat, topic = place_of(conversation)
        reply = None
        if conversation.shared and reply_to:
            reply = ReplyParameters(int(reply_to), allow_sending_without_reply=True)
        return await self.post_to(chat, text, message_thread_id=topic, reply_parameters=reply, **options)

    async def post_to(self, chat_id: int, text: str, **options: Any) -> str:
        """Post a message to a chat; return its id. A group may have another id by now, or have lost the topic."""
        with telegram_errors():
            try:
                return await self._post(chat_id, text, **options)
            except ChatMigrated as migrated:  # a group became a supergroup, with another id
                return await self._post(migrated.new_chat_id, text, **options)
            except BadRequest as error:
                if not any(reason in error.message.lower() for reason in TOPIC_GONE):
                    raise
                # The topic was deleted. Whoever could read it can read the whole group.
                return await self._post(chat_id, text, **{**options, "message_thread_id": None})

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
        with telegram_errors():
            try:
                await _in_html(
                    self._bot.edit_message_text,
                    text,
                    chat_id=chat_id,
                    message_id=int(message_id),
                    link_preview_options=NO_PREVIEW,
                    **options,
                )
            except ChatMigrated as migrated:  # where messages have other ids
                raise PreviewGoneError("the group became a supergroup") from migrated
            except BadRequest as error:
                if any(reason in error.message.lower() for reason in NOT_THERE):
                    raise PreviewGoneError(error.message) from error
                if NOT_MODIFIED not in error.message.lower():
                    raise

    async def delete(self, conversation: Conversation, message_id: str) -> None:
        """Delete a message, unless it is gone or cannot be deleted any more."""
        chat, _ = place_of(conversation)
        with telegram_errors():
            try:
                await self._bot.delete_message(chat, int(message_id))
            except ChatMigrated:
                log.info("message %s cannot be deleted, as its group became a supergroup", message_id)
            except BadRequest as error:
                if not any(reason in error.message.lower() for reason in NOT_THERE):
                    raise

    async def _post(self, chat_id: int, text: str, *, files: Sequence[StoredFile] = (), **options: Any) -> str:
        call = (
            partial(_send_files, self._bot, files)
            if files
            else partial(self._bot.send_message, link_preview_options=NO_PREVIEW)
        )
        sent: telegram.Message = await _in_html(call, text, chat_id=chat_id, **options)
        return str(sent.message_id)


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
