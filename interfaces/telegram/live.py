"""What a chat in Telegram shows of a turn while it runs."""

from html import escape

from telegram import Bot
from telegram.constants import ChatAction, ParseMode

from gateway.channels import MessageView, Steps
from toolkits import Conversation


class TelegramLiveView(MessageView[int]):
    """Shows that the bot is typing, and the phases of a flow as a message.

    https://core.telegram.org/bots/api#sendchataction
    """

    interval = 4.0  # an action is shown for five seconds; a group takes 20 messages a minute

    def __init__(self, bot: Bot, conversation: Conversation) -> None:
        super().__init__()
        chat, _, topic = conversation.id.partition("/")
        self._bot = bot
        self._chat = int(chat)
        self._topic = int(topic) if topic else None

    async def update(self, steps: Steps) -> None:
        await self._bot.send_chat_action(self._chat, ChatAction.TYPING, message_thread_id=self._topic)
        await super().update(steps)

    def escape(self, text: str) -> str:
        return escape(text, quote=False)

    async def post(self, text: str) -> int:
        """Post the message; return its id."""
        sent = await self._bot.send_message(
            self._chat, text, ParseMode.HTML, message_thread_id=self._topic, disable_notification=True
        )
        return sent.message_id

    async def edit(self, posted: int, text: str) -> None:
        await self._bot.edit_message_text(text, self._chat, posted, parse_mode=ParseMode.HTML)

    async def delete(self, posted: int) -> None:
        await self._bot.delete_message(self._chat, posted)
