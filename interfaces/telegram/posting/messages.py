"""Post, edit and delete messages: https://core.telegram.org/bots/api#sendmessage"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
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

# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: a message a second in a chat, 20 a
# minute in a group, and about 30 a second in all. Edits count as messages.
LIMITS = {
    "chat": Limit(most=1, seconds=1.1),
    "group": Limit(most=20, seconds=60.0, previews=10),
    "all": Limit(most=30, seconds=1.1, previews=20),
}

ALL: Key = ("all", "")
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

    def reserve(self, chat_id: int) -> float:
        """Reserve the next message of an answer in a chat; return the seconds until then."""
        return self._pacer.reserve(*self._limits(chat_id))

    async def ready_for_preview(self, conversation: Conversation) -> None:
        """Wait until the rate limits allow a preview in a chat."""
        await self._pacer.preview(*self._limits(place_of(conversation)[0]))

    def pause_previews(self, conversation: Conversation, seconds: float) -> None:
        """Pause the previews in a chat for some seconds."""
        chat, *_ = self._limits(place_of(conversation)[0])
        self._pacer.pause_previews(chat, seconds)

    async def post(
        self, conversation: Conversation, text: str, reply_to: str, *, is_preview: bool = False, **options: Any
    ) -> str:
        """Post a message; return its id.

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
            with self._errors(chat_id):
                return await self._post(chat_id, text, reply_parameters=reply, **options)

        return await self._moved.call(chat_id, post)

    async def show_typing(self, conversation: Conversation) -> None:
        """Show for five seconds that the bot is typing, unless an answer waits in the chat, or Telegram wants a pause.

        https://core.telegram.org/bots/api#sendchataction
        """
        chat, topic = place_of(conversation)
        if self._pacer.gives_way(*self._limits(chat)):
            return

        async def show(chat_id: int) -> None:
            with telegram_errors():
                await self._bot.send_chat_action(chat_id, ChatAction.TYPING, message_thread_id=topic)

        await self._moved.call(chat, show)

    async def edit(self, chat_id: int, message_id: str, text: str, **options: Any) -> None:
        """Replace the text of a message. Buttons are removed unless `options` have them.

        Raises:
            PreviewGoneError: if it is gone, or cannot be edited any more.
        """

        async def edit(chat_id: int) -> None:
            if (number := parse.number_in(chat_id, message_id)) is None:
                raise PreviewGoneError("the group became a supergroup")
            options.update(chat_id=chat_id, message_id=number, link_preview_options=NO_PREVIEW)
            with self._errors(chat_id):
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
            with self._errors(chat_id):
                try:
                    await self._bot.delete_message(chat_id, number)
                except BadRequest as error:
                    if not any(reason in error.message.lower() for reason in NOT_THERE):
                        raise

        await self._moved.call(chat, remove)

    def _limits(self, chat_id: int) -> list[Key]:
        """Return the limits of a message in a chat, that of the chat first. The ids of groups are negative."""
        chat_id = self._moved.id_of(chat_id)
        return [("chat", str(chat_id)), ALL, *([("group", str(chat_id))] if chat_id < 0 else [])]

    @contextmanager
    def _errors(self, chat_id: int) -> Iterator[None]:
        """Translate the errors of a call. After a rate limit, the chat pauses, or the bot if it was that of the bot."""
        with self._pacer.refusals_noted(("chat", str(chat_id)), ALL), telegram_errors():
            yield

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
