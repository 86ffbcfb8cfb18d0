"""Two bots of a kind, to which the same person writes. In all methods, 0 is the bot without a name, and 1 the other."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import httpx
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from peers.webhooks import twilio_webhook as webhook

from gateway.channels import Interface
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth import Identity
from support.channels.running import URL
from support.channels.slack_api import SlackApi

NAME = "support"


class Pair(ABC):
    """Two bots of a kind.

    Attributes:
        interfaces: the channel of each.
        client: an HTTP client of the gateway. A test that starts a gateway sets it.
    """

    interfaces: Sequence[Interface]
    client: httpx.AsyncClient

    async def write(self, at: int, text: str) -> int:
        """Write to a bot as Alice, and return the status of the webhook."""
        return await self.deliver(self.message(at, text), at)

    @abstractmethod
    def alice(self, at: int) -> Identity:
        """Return who Alice is to a bot."""

    @abstractmethod
    def message(self, at: int, text: str) -> Any:
        """Return the webhook request of a message of Alice to a bot."""

    @abstractmethod
    async def deliver(self, request: Any, at: int, signed_for: int | None = None) -> int:
        """Deliver a webhook request to the address of a bot, and return the status.

        Args:
            signed_for: the bot with whose secret the request is signed; by default the same bot.
        """

    @abstractmethod
    def said(self, at: int) -> list[str]:
        """Return the texts of a bot's messages to Alice."""

    @abstractmethod
    def press(self, of: int) -> Any:
        """Return the webhook request of a press of the first button in the last message of a bot."""

    async def deliver_press(self, press: Any, at: int) -> int:
        """Deliver the request of a press to the address of a bot, and return the status."""
        return await self.deliver(press, at)


class TelegramPair(Pair):
    """Two bots to which Alice writes in private. Both chats have her id."""

    def __init__(self, first: TelegramServer, second: TelegramServer) -> None:
        self.servers = (first, second)
        self.secrets = ("first-secret", "second-secret")
        self.interfaces = [
            Telegram(server.token, secret, server.url, name=name)
            for server, secret, name in zip(self.servers, self.secrets, (None, NAME), strict=True)
        ]

    def alice(self, at: int) -> Identity:
        bot = self.servers[at].token.partition(":")[0]
        return Identity(self.interfaces[at].channel, bot, str(seed.ALICE.telegram_id))

    def message(self, at: int, text: str) -> Any:
        return updates.private_message(text)

    async def deliver(self, request: Any, at: int, signed_for: int | None = None) -> int:
        self.servers[at].api.took(request)
        secret = self.secrets[at if signed_for is None else signed_for]
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        return (await self.client.post(self.interfaces[at].address, json=request, headers=headers)).status_code

    def said(self, at: int) -> list[str]:
        return self.servers[at].said(seed.ALICE.telegram_id)

    def press(self, of: int) -> Any:
        asking = [each for each in self.servers[of].messages(seed.ALICE.telegram_id) if "reply_markup" in each]
        button = asking[-1]["reply_markup"]["inline_keyboard"][0][0]
        return updates.callback_query(button["callback_data"], asking[-1])


class SlackPair(Pair):
    """Two apps in one workspace. Tenants, people and conversations have the same ids."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api
        self._tokens, self._secrets = ("xoxb-first", "xoxb-second"), ("first-secret", "second-secret")
        self.interfaces = [
            Slack(token, secret, f"{api.url}/api", name=name)
            for token, secret, name in zip(self._tokens, self._secrets, (None, NAME), strict=True)
        ]

    def alice(self, at: int) -> Identity:
        return Identity(self.interfaces[at].channel, seed.SLACK_TEAM_ID, seed.ALICE.slack_id)

    def message(self, at: int, text: str) -> Any:
        return events.direct_message(text, channel="D0ALICE01")

    async def deliver(self, request: Any, at: int, signed_for: int | None = None) -> int:
        secret = self._secrets[at if signed_for is None else signed_for]
        body, address = json.dumps(request).encode(), self.interfaces[at].address
        return (await self.client.post(address, content=body, headers=events.headers(body, secret))).status_code

    def said(self, at: int) -> list[str]:
        return self._api.said(self._tokens[at])

    def press(self, of: int) -> Any:
        (button, *_) = next(
            block["elements"]
            for message in reversed(self._api.posted(self._tokens[of]))
            for block in message.get("blocks") or ()
            if block["type"] == "actions"
        )
        pressed = interactions.button(button["action_id"], button["value"])
        return interactions.block_actions(pressed, channel="D0ALICE01", ts="1.1", response_url=f"{self._api.url}/say")

    async def deliver_press(self, press: Any, at: int) -> int:
        body = interactions.body_of(press)
        address = self.interfaces[at].address.replace("/events", "/interactivity")
        headers = interactions.headers(body, secret=self._secrets[at])
        return (await self.client.post(address, content=body, headers=headers)).status_code


class WhatsAppPair(Pair):
    """Two senders of one Twilio account."""

    def __init__(self, emulate: Emulate) -> None:
        self._emulate = emulate
        self._numbers = (seed.WHATSAPP_NUMBER, seed.WHATSAPP_OTHER_NUMBER)
        self.interfaces = [
            WhatsApp(emulate.account_sid, emulate.auth_token, number, emulate.twilio_url, name=name)
            for number, name in zip(self._numbers, (None, NAME), strict=True)
        ]

    def alice(self, at: int) -> Identity:
        number = self._numbers[at].removeprefix("whatsapp:")
        return Identity(self.interfaces[at].channel, number, seed.ALICE.phone)

    def message(self, at: int, text: str) -> Any:
        return webhook.inbound(text, to=self._numbers[at])

    async def deliver(self, request: Any, at: int, signed_for: int | None = None) -> int:
        address = self.interfaces[at].address
        signed = self.interfaces[at if signed_for is None else signed_for].address
        headers = {"X-Twilio-Signature": webhook.sign(URL + signed, request)}
        return (await self.client.post(address, data=request, headers=headers)).status_code

    def said(self, at: int) -> list[str]:
        sent = self._emulate.whatsapp_messages("alice")
        return [message["body"] for message in sent if message["from"] == self._numbers[at]]

    def press(self, of: int) -> Any:
        button = self._emulate.whatsapp_buttons()[-1]["actions"][0]
        pressed = {"MessageType": "button", "ButtonText": button["title"], "ButtonPayload": button["id"]}
        return webhook.inbound(button["title"], to=self._numbers[of], **pressed)

    async def deliver_press(self, press: Any, at: int) -> int:
        return await self.deliver({**press, "To": self._numbers[at]}, at)
