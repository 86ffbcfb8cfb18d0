"""The typing indicator in WhatsApp while a turn runs."""

from twilio.rest import Client

from gateway.channels import LiveView, Progress
from gateway.channels.live import Key, Pacer
from interfaces.whatsapp.errors import twilio_errors


class TypingIndicator(LiveView):
    """Shows that the bot is typing: https://www.twilio.com/docs/whatsapp/api/typing-indicators-resource"""

    refresh = 20.0  # WhatsApp shows it for 25 seconds

    def __init__(self, client: Client, message_id: str, pacer: Pacer, sender: Key) -> None:
        self._client = client
        self._message_id = message_id
        self._pacer = pacer
        self._sender = sender

    async def indicate(self, progress: Progress) -> None:
        if self._pacer.gives_way(self._sender):
            return
        with self._pacer.refusals_noted(self._sender), twilio_errors():
            await self._client.messaging.v2.typing_indicator.create_async(
                channel="whatsapp", message_id=self._message_id
            )
