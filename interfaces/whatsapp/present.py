"""Send answers as messages: https://www.twilio.com/docs/messaging/api/message-resource"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from twilio.rest import Client

from gateway.channels import Delivery, LiveView, Presenter, SignIn
from gateway.channels.sentences import SIGN_IN_TERMS, sign_in_request
from interfaces.whatsapp.errors import twilio_errors
from interfaces.whatsapp.format import WhatsAppRenderer
from interfaces.whatsapp.live import TypingIndicator
from interfaces.whatsapp.parse import PREFIX
from toolkits import Conversation, Message

CALL_TIMEOUT = 15.0  # seconds for one call of the REST API
CLOCK_SKEW = timedelta(minutes=1)  # between Twilio and us, at the most
FAILED = frozenset({"canceled", "failed", "undelivered"})
MOST_FOUND = 20  # messages that are looked through for one that may have been sent


class WhatsAppPresenter(Presenter):
    """Sends answers to chats of WhatsApp.

    Attributes:
        client: of the REST API, while the channel runs.
    """

    # https://www.twilio.com/docs/whatsapp/key-concepts#the-24-hour-window
    reply_window = timedelta(hours=24)

    def __init__(self) -> None:
        self._renderer = WhatsAppRenderer()
        self.client: Client | None = None

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        async with self._client() as client:
            created = await client.messages.create_async(
                from_=PREFIX + conversation.tenant, to=PREFIX + conversation.id, body=text
            )
            if not created.sid:  # an empty body is no error to the library
                raise ValueError("no message in the answer")

    def live_view(self, message: Message) -> LiveView | None:
        return TypingIndicator(self.client, message.id) if self.client is not None else None

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Look for the text among the last messages to the person. One that Twilio could not deliver does not count.

        https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
        """
        conversation, since = delivery.conversation, delivery.since - CLOCK_SKEW
        async with self._client() as client:
            found = await client.messages.list_async(
                from_=PREFIX + conversation.tenant, to=PREFIX + conversation.id, limit=MOST_FOUND
            )
        texts = (delivery.text, self.mark_repeated(delivery.text))
        return any(
            message.body in texts
            for message in found
            if message.status not in FAILED and (message.date_created is None or message.date_created >= since)
        )

    async def send_sign_in(self, sign_in: SignIn) -> None:
        text = f"{sign_in_request(sign_in.label)}:\n{await sign_in.link()}\n{SIGN_IN_TERMS}"
        await self.send_text(sign_in.conversation, text, sign_in.reply_to, key="")

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        """Give the client for one call, whose errors are translated into delivery errors."""
        assert self.client is not None, "the channel is not started"
        with twilio_errors():
            async with asyncio.timeout(CALL_TIMEOUT):
                yield self.client
