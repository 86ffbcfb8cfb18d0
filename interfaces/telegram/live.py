"""The preview of a running turn in Telegram."""

from html import escape

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from gateway.channels.live import MessageView, PreviewKind, Progress
from interfaces.telegram.posting.messages import Poster, place_of
from toolkits import Message

STOP = "stop"  # the `callback_data` of the button that stops a turn


class TelegramLiveView(MessageView):
    """Shows that the bot is typing, the phases of a flow as a message, and the answer as messages that are edited.

    Messages are edited, because many clients redraw the draft of `sendMessageDraft` from the beginning at each change,
    and some leave it beside the answer: https://github.com/vercel/chat/pull/822,
    https://github.com/NousResearch/hermes-agent/issues/26157

    https://core.telegram.org/bots/api#sendchataction, https://core.telegram.org/bots/api#editmessagetext
    """

    refresh = 4.0  # Telegram shows an action for five seconds
    streams = True

    def __init__(self, poster: Poster, message: Message) -> None:
        super().__init__()
        self._poster = poster
        self._message = message

    async def indicate(self, progress: Progress) -> None:
        await self._poster.show_typing(self._message.conversation)

    async def ready(self) -> None:
        await self._poster.ready_for_preview(self._message.conversation)

    def hold(self, seconds: float) -> None:
        self._poster.pause_previews(self._message.conversation, seconds)

    def escape(self, text: str) -> str:
        return escape(text, quote=False)

    async def post(self, text: str, kind: PreviewKind) -> str:
        # People are notified when the answer begins, and not of a status.
        is_status = kind is PreviewKind.STATUS
        reply_to = "" if is_status else self._message.id
        return await self._poster.post(
            self._message.conversation,
            text,
            reply_to,
            is_preview=True,
            reply_markup=_BUTTON,
            disable_notification=is_status,
        )

    async def edit(self, platform_id: str, text: str) -> None:
        chat, _ = place_of(self._message.conversation)
        await self._poster.edit(chat, platform_id, text, reply_markup=_BUTTON)

    async def delete(self, platform_id: str) -> None:
        await self._poster.delete(self._message.conversation, platform_id)


_BUTTON = InlineKeyboardMarkup.from_button(InlineKeyboardButton("Stop", callback_data=STOP))
