"""Answers as messages: https://www.twilio.com/docs/messaging/api/message-resource"""

import asyncio

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from gateway.interface import DeliveryRefused, Presenter, SignIn
from interfaces.whatsapp.format import WhatsAppRenderer
from interfaces.whatsapp.parse import PREFIX
from toolkits import Conversation

CALL_TIMEOUT = 15.0  # seconds for one call of the REST API


class WhatsAppPresenter(Presenter):
    def __init__(self) -> None:
        self._renderer = WhatsAppRenderer()
        self.client: Client | None = None

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str) -> None:
        assert self.client is not None, "the channel is not started"
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self.client.messages.create_async(
                    from_=PREFIX + conversation.tenant, to=PREFIX + conversation.id, body=text
                )
        except TwilioRestException as error:
            if error.status == 429 or error.status >= 500:
                raise
            raise DeliveryRefused(f"{error.code}: {error.msg}") from error

    async def send_sign_in(self, sign_in: SignIn) -> None:
        text = (
            f"To answer that, I need you to connect your {sign_in.label} account:\n{await sign_in.link()}\n"
            "The link is for you alone and works for ten minutes. I answer as soon as you have signed in."
        )
        await self.send_text(sign_in.conversation, text, sign_in.reply_to)
