"""Conversations on the three channels: deliver events as the platform does, and read the bot's answers."""

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from peers import seed
from peers.emulate.control import TIMEOUT
from peers.emulate.server import Emulate
from peers.emulate.slack import is_preview as is_slack_preview
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.telegram.server import is_preview as is_telegram_preview
from peers.webhooks import slack_events, slack_interactions, twilio_webhook
from twilio.request_validator import RequestValidator

REDELIVERY = 0.5  # seconds until the retry of a failed delivery
DUPLICATES = 0.2  # the share of successful deliveries that are repeated


class Line(ABC):
    """A conversation on a channel."""

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

    @abstractmethod
    def previews(self) -> int:
        """Return the number of previews in the conversation."""

    @abstractmethod
    def approvals(self, token: str) -> list[Any]:
        """Return presses of the button that approves a call: first that of another person, if they can press, too.

        On WhatsApp, return the message `yes` instead. The list is empty while the bot does not ask.
        """

    def press(self, url: str, press: Any) -> httpx.Response:
        """Deliver a press."""
        return self.post(url, press)

    def deliver(self, event: Any, chance: random.Random) -> bool:
        """Deliver an event to one of the web processes, and return whether it was accepted."""
        return self._delivered(self.post, event, chance)

    def deliver_press(self, press: Any, chance: random.Random) -> bool:
        """Deliver a press to one of the web processes, and return whether it was accepted."""
        return self._delivered(self.press, press, chance)

    def _delivered(self, post: Callable[[str, Any], httpx.Response], content: Any, chance: random.Random) -> bool:
        try:
            return post(chance.choice(self._urls), content).status_code == 200
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

    def previews(self) -> int:
        return sum(map(is_slack_preview, self._emulate.slack_messages(self._channel, self._thread)))

    def approvals(self, token: str) -> list[Any]:
        buttons = [
            button
            for message in self._emulate.slack_messages(self._channel, self._thread)
            if token in message["text"] or token in json.dumps(message.get("blocks"))
            for block in message.get("blocks") or []
            for button in block.get("elements", [])
            if button.get("action_id") == "question.0"
        ]
        others = [person for person in seed.PEOPLE.values() if person != self._person]
        return [self._press(button, person) for button in buttons[-1:] for person in (others[0], self._person)]

    def _press(self, button: Any, person: seed.Person) -> Any:
        action = slack_interactions.button(button["action_id"], button["value"])
        answer = f"{self._emulate.slack_url.removesuffix('/api')}/actions/{self._channel}/{person.slack_id}/1"
        return slack_interactions.block_actions(
            action, person=person, channel=self._channel, thread_ts=self._thread, response_url=answer
        )

    def press(self, url: str, press: Any) -> httpx.Response:
        body = slack_interactions.body_of(press)
        headers = slack_interactions.headers(body)
        return httpx.post(f"{url}/slack/interactivity", content=body, headers=headers, timeout=TIMEOUT, trust_env=False)


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

    def previews(self) -> int:
        return sum(map(is_telegram_preview, self._telegram.messages(self._person.telegram_id)))

    def approvals(self, token: str) -> list[Any]:
        pressed = [
            (button["callback_data"], message)
            for message in self._telegram.messages(self._person.telegram_id)
            if token in message["text"]
            for row in message.get("reply_markup", {}).get("inline_keyboard", [])
            for button in row
            if button.get("callback_data", "").startswith("q:") and button["callback_data"].endswith(":0")
        ]
        return [
            updates.callback_query(data, message, person)
            for data, message in pressed[-1:]
            for person in (seed.BOB, self._person)
        ]

    def press(self, url: str, press: Any) -> httpx.Response:
        self._telegram.api.took(press)
        return self.post(url, press)


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

    def previews(self) -> int:
        return 0  # WhatsApp has no previews, only a typing indicator

    def approvals(self, token: str) -> list[Any]:
        to = f"whatsapp:{self._person.phone}"
        has_asked = any(token in message["body"] for message in self._emulate.whatsapp_messages(to=to))
        return [twilio_webhook.inbound("yes", self._person)] if has_asked else []
