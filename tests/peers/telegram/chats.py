"""The chats of the bot: their messages and members, and the errors with which Telegram refuses a call."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from peers.emulate.control import Json
from peers.telegram.html import HtmlError, parse, utf16_length
from peers.telegram.updates import BOT, FORUM, GROUP

TEXT_MAX = 4096  # UTF-16 code units, after entity parsing
BUTTON_DATA_MAX = 64  # bytes
BUTTONS_MAX = 100  # undocumented: python-telegram-bot's InlineKeyboardMarkupLimit has it
NOTICE_MAX = 200  # characters in the answer to a press
SAME = (
    "message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)


class ApiError(Exception):
    """An answer whose `ok` is false (https://core.telegram.org/bots/api#making-requests)."""

    def __init__(self, code: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad_request(description: str) -> ApiError:
    return ApiError(400, f"Bad Request: {description}")


class Chats:
    """The chats of the bot.

    A private chat exists once its person has written to the bot, and a group once the bot is a member.
    """

    def __init__(self) -> None:
        self.chats: dict[int, Json] = {chat["id"]: chat for chat in (GROUP, FORUM)}
        self.gone: dict[int, str] = {}  #: why the bot may no longer write in a chat, by chat id
        self.migrated: dict[int, int] = {}  #: the id of the supergroup that a group became, by the group's id
        self.messages: dict[tuple[int, int], Json] = {}  #: of people and of the bot, by chat id and message id
        self.drafts: dict[tuple[int, int], str] = {}  #: the text of each draft, by chat id and draft id
        self.commands: dict[tuple[str, str], list[Json]] = {}  #: by the type of their scope and the language
        self.descriptions = {"description": "", "short_description": ""}
        self.last_error: Json = {}  #: the fields of getWebhookInfo about the last delivery that failed
        self.webhook: Json = {"url": ""}
        self.files: dict[str, bytes] = {}
        self._topics: set[tuple[int, int]] = set()
        self._closed: set[tuple[int, int]] = set()
        self._queries: set[str] = set()
        self._members: dict[tuple[int, int], Json] = {}

    def took(self, update: Mapping[str, Any]) -> None:
        """Record the chat, the message, the member and the topic of an update that the bot gets."""
        if "callback_query" in update:
            self._queries.add(update["callback_query"]["id"])
            return
        kind = next(name for name in update if name != "update_id")
        if kind in ("message_reaction", "stopped_message_generation"):
            return  # such an update lets the bot write to nobody
        content = update[kind]
        chat = content["chat"]
        self.chats[chat["id"]] = chat
        if kind == "my_chat_member":
            self._moved(chat, content["new_chat_member"]["status"])
            return
        if new := content.get("migrate_to_chat_id"):
            self.migrated[chat["id"]] = new
            self.chats[new] = {**chat, "id": new, "type": "supergroup"}
            return
        self.gone.pop(chat["id"], None)
        self.messages[chat["id"], content["message_id"]] = dict(content)
        if sender := content.get("from"):
            self._members[chat["id"], sender["id"]] = sender
        if topic := content.get("message_thread_id"):
            self._topics.add((chat["id"], topic))

    def expire_queries(self) -> None:
        """Refuse answers to the presses so far, as Telegram does some seconds after each press."""
        self._queries.clear()

    def delete_topic(self, chat_id: int, thread_id: int) -> None:
        """Delete a topic of a forum or a private chat."""
        self._topics.discard((chat_id, thread_id))

    def close_topic(self, chat_id: int, thread_id: int) -> None:
        """Close a topic, in which only administrators may write then."""
        self._closed.add((chat_id, thread_id))

    def _moved(self, chat: Json, status: str) -> None:
        if status == "kicked" and chat["type"] == "private":
            self.gone[chat["id"]] = "bot was blocked by the user"
        elif status in ("kicked", "left"):
            self.gone[chat["id"]] = f"bot was kicked from the {chat['type']} chat"
        else:
            self.gone.pop(chat["id"], None)

    def _writable(self, params: Json) -> Json:
        number = params.get("chat_id")
        if not isinstance(number, int):
            raise bad_request("chat_id is empty" if number in (None, "") else "chat not found")
        if new := self.migrated.get(number):
            description = "group chat was upgraded to a supergroup chat"
            raise ApiError(400, f"Bad Request: {description}", {"migrate_to_chat_id": new})
        if number in self.gone:
            raise ApiError(403, f"Forbidden: {self.gone[number]}")
        if number in self.chats:
            return self.chats[number]
        if number > 0:
            raise ApiError(403, "Forbidden: bot can't initiate conversation with a user")
        raise bad_request("chat not found")

    def _content(self, params: Json) -> Json:
        text, entities = params.get("text", ""), params.get("entities", [])
        if params.get("parse_mode", "").upper() == "HTML":
            try:
                text, entities = parse(text)
            except HtmlError as error:
                raise bad_request(f"can't parse entities: {error}") from error
        if not text.strip():
            raise bad_request("message text is empty")
        if utf16_length(text) > TEXT_MAX:
            raise bad_request("message is too long")
        return {"text": text, **({"entities": entities} if entities else {}), **reply_markup(params)}

    def _replied(self, chat: Json, params: Json) -> Json | None:
        given = params.get("reply_parameters", {})
        number = given.get("message_id") or params.get("reply_to_message_id")
        if number is None:
            return None
        found = self.messages.get((chat["id"], number))
        if found is None and not given.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
        return found and {name: value for name, value in found.items() if name != "reply_to_message"}

    def _topic(self, chat: Json, params: Json) -> Json:
        """Return the fields of a message in the topic that a call names, if it names one.

        https://github.com/tdlib/telegram-bot-api/issues/854: "message thread not found", also in private chats
        """
        thread = params.get("message_thread_id")
        if not thread:
            return {}
        if (chat["id"], thread) not in self._topics:
            raise bad_request("message thread not found")
        if (chat["id"], thread) in self._closed:
            raise bad_request("TOPIC_CLOSED")
        return {"message_thread_id": thread, "is_topic_message": True}

    def _own(self, params: Json, action: str) -> Json:
        chat = self._writable(params)
        message = self.messages.get((chat["id"], params.get("message_id", 0)))
        if message is None:
            raise bad_request(f"message to {action} not found")
        if message["from"] != BOT:
            raise bad_request(f"message can't be {action}ed")
        return message

    def _edit(self, message: Json, content: Json) -> Json:
        parts = ("text", "entities", "reply_markup")
        if [message.get(name) for name in parts] == [content.get(name) for name in parts]:
            raise bad_request(SAME)
        kept = {name: value for name, value in message.items() if name not in parts}
        edited = {**kept, **content, "edit_date": int(time.time())}
        self.messages[message["chat"]["id"], message["message_id"]] = edited
        return edited


def reply_markup(params: Json) -> Json:
    """Check the buttons under a message, and return them as a field of the message."""
    markup = params.get("reply_markup")
    rows = (markup or {}).get("inline_keyboard", [])
    if sum(map(len, rows)) > BUTTONS_MAX:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    for row in rows:
        for button in row:
            if not button.get("text", "").strip():
                raise bad_request("can't parse inline keyboard button: text is empty")
            if button.get("style") not in (None, "danger", "success", "primary"):
                raise bad_request("BUTTON_STYLE_INVALID")
            if len(button.get("callback_data", "x").encode()) not in range(1, BUTTON_DATA_MAX + 1):
                raise bad_request("BUTTON_DATA_INVALID")
            # Undocumented: https://github.com/rubenlagus/TelegramBots/issues/302
            if "url" in button and "." not in (urlsplit(button["url"]).hostname or ""):
                raise bad_request("BUTTON_URL_INVALID")
    return {"reply_markup": markup} if markup and "inline_keyboard" in markup else {}
