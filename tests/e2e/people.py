"""People who write to the bot and read its answers, with the same interface for Slack, Telegram and WhatsApp."""

import html
import re
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from peers import seed
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from support.consent.pages import code_on


class ChannelPerson(Protocol):
    """Somebody in a direct conversation with the bot."""

    person: seed.Person

    def write(self, text: str) -> None: ...

    def command(self, name: str) -> None:
        """Give a command as people do in this channel."""
        ...

    def follow(self, address: str, copied: str) -> None:
        """Do in the platform's app what the button of the sign-in page asks for.

        Args:
            address: where the button leads.
            copied: what the button has put on the clipboard.
        """
        ...

    def seen(self) -> list[str]:
        """Return the texts of everything that the bot has sent them, links included."""
        ...

    def shown(self) -> list[str]:
        """Return the texts of `seen`, and those of previews."""
        ...


class OnSlack:
    def __init__(self, person: seed.Person, emulate: Emulate, telegram: TelegramServer) -> None:
        self.person = person
        self._emulate = emulate
        self._channel = emulate.slack_dm(person.name)

    def write(self, text: str) -> None:
        self._emulate.slack_post(self.person.name, self._channel, text)

    def command(self, name: str) -> None:
        self.write(name)

    def follow(self, address: str, copied: str) -> None:
        assert urlsplit(address).path == "/app_redirect"
        self.write(copied)

    def seen(self) -> list[str]:
        return self._emulate.slack_said(self._channel)

    def shown(self) -> list[str]:
        messages = self._emulate.slack_messages(self._channel)
        return [message["text"] for message in messages if message.get("user") == self._emulate.slack_bot_user_id]


class OnTelegram:
    def __init__(self, person: seed.Person, emulate: Emulate, telegram: TelegramServer) -> None:
        self.person = person
        self._telegram = telegram

    def write(self, text: str) -> None:
        response = self._telegram.deliver(updates.private_message(text, self.person))
        assert response.status_code == 200

    def command(self, name: str) -> None:
        self._telegram.deliver(updates.command(name, "", self.person))

    def follow(self, address: str, copied: str) -> None:
        link, _, code = address.partition("?start=")
        assert link == f"https://t.me/{updates.BOT_USERNAME}"
        self._telegram.deliver(updates.command("start", code, self.person))

    def seen(self) -> list[str]:
        return [
            f"{message['text']} {_buttons(message)}" for message in self._telegram.messages(self.person.telegram_id)
        ]

    def shown(self) -> list[str]:
        return self.seen()


class OnWhatsApp:
    def __init__(self, person: seed.Person, emulate: Emulate, telegram: TelegramServer) -> None:
        self.person = person
        self._emulate = emulate

    def write(self, text: str) -> None:
        self._emulate.whatsapp_post(self.person.name, text)

    def command(self, name: str) -> None:
        self.write(f"/{name}")

    def follow(self, address: str, copied: str) -> None:
        link, _, text = address.partition("?text=")
        assert link == f"https://wa.me/{seed.WHATSAPP_NUMBER.removeprefix('whatsapp:+')}"
        self.write(unquote(text))

    def seen(self) -> list[str]:
        return [message["body"] for message in self._emulate.whatsapp_messages(self.person.name)]

    def shown(self) -> list[str]:
        return self.seen()


CHANNELS = {"slack": OnSlack, "telegram": OnTelegram, "whatsapp": OnWhatsApp}


def link_in(text: str) -> str:
    """Return the URL of the sign-in link in a message."""
    found = re.search(r"https?://[^\s|>\"]+/sign-in/[^\s|>\"]+", html.unescape(text))
    assert found, f"no link in {text!r}"
    return found[0]


def wait_for_link(person: ChannelPerson) -> str:
    """Wait until the bot has sent a sign-in link, and return the newest one."""

    def last() -> str | None:
        links = [text for text in person.seen() if "/sign-in/" in text]
        return links[-1] if links else None

    return link_in(str(wait_until(last, what=f"{person.person.name} is sent a sign-in link")))


def sign_in(person: ChannelPerson, emulate: Emulate, link: str | None = None) -> None:
    """Consent in a browser, and send the bot the code that the page then shows."""
    page = emulate.consent(link or wait_for_link(person), person.person.email)
    assert page.status_code == 200
    assert person.person.email in page.text
    person.write(code_on(page.text))


def wait_for_mail(person: ChannelPerson, count: int = 1, timeout: float = 20.0) -> list[str]:
    """Wait until a person has `count` answers about their mail, and return them."""

    def answers() -> list[str] | None:
        found = [text for text in person.seen() if "Found:" in text]
        return found if len(found) >= count else None

    return list(wait_until(answers, timeout, f"{person.person.name} has {count} answers") or [])


def _buttons(message: dict[str, Any]) -> str:
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", [])
    return " ".join(button["url"] for row in rows for button in row if "url" in button)
