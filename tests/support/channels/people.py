"""People who write to a channel, and press the buttons of questions there."""

import json
from abc import ABC, abstractmethod
from typing import Any

from peers import seed
from peers.emulate.control import Json
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from peers.webhooks import twilio_webhook as webhook

from gateway.channels import Interface
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from support.channels import slack, telegram, whatsapp
from support.channels.running import Running


class People(ABC):
    """People in a channel: Alice, whose turn it is, and Bob.

    Attributes:
        running: the gateway that they write to. A test that restarts the gateway sets it again.
    """

    running: Running

    @abstractmethod
    def channel(self) -> Interface:
        """Return the channel."""

    @abstractmethod
    async def write(self, text: str, *, shared: bool = False) -> None:
        """Write to the bot as Alice, in a direct conversation, or with `shared` in a group."""

    @abstractmethod
    def said(self, *, shared: bool = False) -> list[str]:
        """Return the current texts of the bot's messages in the conversation."""

    @abstractmethod
    def buttons(self, *, shared: bool = False) -> list[Any]:
        """Return the buttons of the last message in the conversation that has any."""

    @abstractmethod
    def press_of(self, button: Any, person: seed.Person, *, shared: bool = False) -> Any:
        """Return the request that the platform makes when somebody presses a button."""

    @abstractmethod
    async def deliver(self, press: Any) -> str:
        """Deliver the request of a press, and return the sentence that the person is told, or an empty text."""

    async def asked(self, *, shared: bool = False) -> list[Any]:
        """Wait until a question is posted and the gateway has stored it as sent, and return its buttons."""
        await wait_until_async(lambda: bool(self.buttons(shared=shared)), what="a question")
        await self.running.delivered()
        return self.buttons(shared=shared)

    async def press(self, button: Any, person: seed.Person = seed.ALICE, *, shared: bool = False) -> str:
        """Press a button, and return the sentence that the person is told, or an empty text."""
        return await self.deliver(self.press_of(button, person, shared=shared))


class OnSlack(People):
    def __init__(self, emulate: Emulate) -> None:
        self._emulate = emulate
        self._direct = emulate.slack_dm("alice")
        self._thread = ""

    def channel(self) -> Slack:
        return Slack(self._emulate.bot_token, self._emulate.signing_secret, self._emulate.slack_url)

    async def write(self, text: str, *, shared: bool = False) -> None:
        if shared:
            self._thread = self._emulate.slack_post("alice", seed.SLACK_CHANNEL_ID, text)
            await slack.post(self.running, events.app_mention(f"{slack.BOT} {text}", ts=self._thread))
        else:
            await slack.post(self.running, slack.dm(self._emulate, text))

    def _messages(self, *, shared: bool) -> list[Json]:
        if not shared:
            return self._emulate.slack_messages(self._direct)
        return self._emulate.slack_messages(seed.SLACK_CHANNEL_ID, self._thread)

    def said(self, *, shared: bool = False) -> list[str]:
        own = [each for each in self._messages(shared=shared) if each.get("user") == seed.SLACK_BOT_USER_ID]
        return [each["text"] for each in own]

    def buttons(self, *, shared: bool = False) -> list[Any]:
        found = []
        for message in self._messages(shared=shared):
            for block in message.get("blocks") or []:
                if block["type"] == "actions":
                    found = [{**button, "ts": message["ts"]} for button in block["elements"]]
        return found

    def press_of(self, button: Any, person: seed.Person, *, shared: bool = False) -> Any:
        place = seed.SLACK_CHANNEL_ID if shared else self._direct
        return interactions.block_actions(
            interactions.button(button["action_id"], button["value"]),
            person=person,
            channel=place,
            ts=button["ts"],
            thread_ts=self._thread if shared else None,
            response_url=slack.answer_address(self._emulate, place, person),
        )

    async def deliver(self, press: Any) -> str:
        before = len(self._emulate.slack_ephemerals())
        assert await slack.press(self.running, press) == 200
        return "".join(each["text"] for each in self._emulate.slack_ephemerals()[before:])


class OnTelegram(People):
    def __init__(self, server: TelegramServer) -> None:
        self._server = server

    def channel(self) -> Telegram:
        return Telegram(self._server.token, updates.SECRET_TOKEN, self._server.url)

    async def write(self, text: str, *, shared: bool = False) -> None:
        update = updates.group_mention(text) if shared else updates.private_message(text)
        await telegram.post(self.running, self._server, update)

    def _messages(self, *, shared: bool) -> list[Json]:
        return self._server.messages(telegram.GROUP if shared else telegram.ALICE)

    def said(self, *, shared: bool = False) -> list[str]:
        return [message["text"] for message in self._messages(shared=shared)]

    def buttons(self, *, shared: bool = False) -> list[Any]:
        asking = [message for message in self._messages(shared=shared) if "reply_markup" in message]
        return (
            [(button, asking[-1]) for row in asking[-1]["reply_markup"]["inline_keyboard"] for button in row]
            if asking
            else []
        )

    def press_of(self, button: Any, person: seed.Person, *, shared: bool = False) -> Any:
        pressed, message = button
        return updates.callback_query(pressed["callback_data"], message, person)

    async def deliver(self, press: Any) -> str:
        before = len(self._server.called("answerCallbackQuery"))
        assert await telegram.post(self.running, self._server, press) == 200
        answers = self._server.called("answerCallbackQuery")[before:]
        return "".join(answer.get("text", "") for answer in answers if answer.get("show_alert"))


class OnWhatsApp(People):
    def __init__(self, emulate: Emulate) -> None:
        self._emulate = emulate

    def channel(self) -> WhatsApp:
        emulate = self._emulate
        return WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)

    async def write(self, text: str, *, shared: bool = False) -> None:
        assert not shared
        await whatsapp.post(self.running, webhook.inbound(text))

    def said(self, *, shared: bool = False) -> list[str]:
        return [message["body"] for message in self._emulate.whatsapp_messages("alice")]

    def buttons(self, *, shared: bool = False) -> list[Any]:
        sent = self._emulate.whatsapp_buttons()
        return list(sent[-1]["actions"]) if sent else []

    def press_of(self, button: Any, person: seed.Person, *, shared: bool = False) -> Any:
        pressed = {"MessageType": "button", "ButtonText": button["title"], "ButtonPayload": button["id"]}
        return webhook.inbound(button["title"], person, **pressed)

    async def deliver(self, press: Any) -> str:
        answer = await whatsapp.post(self.running, press)
        assert answer.status_code == 200
        return str(answer.text).partition("<Message>")[2].partition("</Message>")[0]


def copied(press: Any) -> Any:
    """Return a copy of the request of a press."""
    return json.loads(json.dumps(press))
