"""Conversations on the three channels: deliver events as the platform does, and read the bot's answers."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import httpx
from peers import seed
from peers.emulate.control import TIMEOUT
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.webhooks import slack_events, twilio_webhook
from twilio.request_validator import RequestValidator

REDELIVERY = 0.5  # seconds until the retry of a failed delivery
DUPLICATES = 0.2  # the share of successful deliveries that are repeated


class Line(ABC):
    """A conversation."""

    name: str

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls

    @abstractmethod
    def event(self, text: str) -> Any: ...

    @abstractmethod
    def post(self, url: str, event: Any) -> httpx.Response: ...

    @abstractmethod
    def read(self) -> list[str]:
        """Return the bot's messages, oldest first."""

    def deliver(self, event: Any, chance: random.Random) -> bool:
        """Deliver an event to one of the web processes; return whether it was accepted."""
        try:
            return self.post(chance.choice(self._urls), event).status_code == 200
        except httpx.TransportError:
            return False


class SlackThread(Line):
    def __init__(self, number: int, urls: Sequence[str], emulate: Emulate) -> None:
        super().__init__(urls)
        self.name = f"slack{number}"
        person = list(seed.PEOPLE.values())[number % len(seed.PEOPLE)]
        self._emulate, self._person = emulate, person
        self._channel = emulate.slack_dm(person.name)
        self._thread = emulate.slack_post(person.name, self._channel, "a thread")

    def event(self, text: str) -> Any:
        return slack_events.direct_message(text, self._person.slack_id, self._channel, thread_ts=self._thread)

    def post(self, url: str, event: Any) -> httpx.Response:
        return slack_events.post(f"{url}/slack/events", event)

    def read(self) -> list[str]:
        return self._emulate.slack_said(self._channel, self._thread)


class TelegramChat(Line):
    def __init__(self, number: int, urls: Sequence[str], telegram: TelegramServer) -> None:
        super().__init__(urls)
        self.name = f"telegram{number}"
        self._telegram = telegram
        self._person = seed.Person(self.name, "", "", 5000 + number)

    def event(self, text: str) -> Any:
        update = updates.private_message(text, self._person)
        self._telegram.api.took(update)
        return update

    def post(self, url: str, event: Any) -> httpx.Response:
        return updates.post(f"{url}/telegram/webhook", event)

    def read(self) -> list[str]:
        return self._telegram.said(self._person.telegram_id)


class WhatsAppNumber(Line):
    def __init__(self, number: int, urls: Sequence[str], emulate: Emulate) -> None:
        super().__init__(urls)
        self.name = f"whatsapp{number}"
        self._emulate = emulate
        self._person = seed.Person(self.name, "", f"+1555010{number:04d}", 0)

    def event(self, text: str) -> Any:
        return twilio_webhook.inbound(text, self._person)

    def post(self, url: str, event: Any) -> httpx.Response:
        # Twilio signs the public URL of the webhook, whichever process gets the request.
        public = f"{self._urls[0]}/whatsapp/webhook"
        signature = RequestValidator(seed.TWILIO_AUTH_TOKEN).compute_signature(public, event)
        headers = {"X-Twilio-Signature": signature}
        return httpx.post(f"{url}/whatsapp/webhook", data=event, headers=headers, timeout=TIMEOUT, trust_env=False)

    def read(self) -> list[str]:
        to = f"whatsapp:{self._person.phone}"
        return [message["body"] for message in self._emulate.whatsapp_messages(to=to)]
