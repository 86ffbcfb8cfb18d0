"""The methods of the Bot API that a gateway needs (https://core.telegram.org/bots/api#available-methods)."""

import re
import time
from collections.abc import Callable
from typing import Any

from peers.emulate.control import Json
from peers.telegram.chats import NOTICE_MAX, ApiError, bad_request, reply_markup
from peers.telegram.media import Media
from peers.telegram.pending import MOST, WEBHOOK_SET, WEBHOOK_SET_MEANWHILE, PendingUpdates, conflict
from peers.telegram.updates import BOT, message_ids

ACTIONS = {
    "choose_sticker",
    "find_location",
    "record_video",
    "record_video_note",
    "record_voice",
    "typing",
    "upload_document",
    "upload_photo",
    "upload_video",
    "upload_video_note",
    "upload_voice",
}
MOST_DOWNLOADED = 20 * 1024 * 1024  # bytes: https://core.telegram.org/bots/api#getfile
COMMANDS_MAX = 100  # https://core.telegram.org/bots/api#setmycommands
DESCRIPTIONS_MAX = {"description": 512, "short_description": 120}  # characters
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_NO_GIFTS = dict.fromkeys(
    ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
)


class BotApi(Media):
    """The methods, by their names in Python's spelling. Each takes the decoded parameters of the call."""

    def __init__(self) -> None:
        super().__init__()
        self.pending = PendingUpdates()

    def get_me(self, params: Json) -> Json:
        abilities = dict.fromkeys(
            (
                "can_read_all_group_messages",
                "supports_inline_queries",
                "can_connect_to_business",
                "has_main_web_app",
            ),
            False,
        )
        return {**BOT, "can_join_groups": True, **abilities}

    def set_webhook(self, params: Json) -> bool:
        secret = params.get("secret_token")
        if secret is not None and not SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        self.webhook = {"url": "", **params}
        if "allowed_updates" in params:
            self.pending.allowed = params["allowed_updates"]
        self._drop_pending(params)
        if self.webhook["url"]:
            self.pending.end_poll(WEBHOOK_SET_MEANWHILE)
        return True

    def delete_webhook(self, params: Json) -> bool:
        self.webhook = {"url": ""}
        self._drop_pending(params)
        return True

    async def get_updates(self, params: Json) -> list[Json]:
        if self.webhook["url"]:
            raise conflict(WEBHOOK_SET)
        if "allowed_updates" in params:
            self.pending.allowed = params["allowed_updates"]
        return await self.pending.poll(params.get("offset", 0), params.get("limit", MOST), params.get("timeout", 0))

    def get_webhook_info(self, params: Json) -> Json:
        """Return the state of the webhook: https://core.telegram.org/bots/api#webhookinfo"""
        known: Json = {} if not self.webhook["url"] else {"max_connections": 40, **self.last_error}
        known |= {name: self.webhook[name] for name in ("max_connections", "allowed_updates") if name in self.webhook}
        fixed = {"has_custom_certificate": False, "pending_update_count": len(self.pending)}
        return {"url": self.webhook["url"], **fixed, **known}

    def _drop_pending(self, params: Json) -> None:
        if params.get("drop_pending_updates"):
            self.pending.clear()

    def send_message(self, params: Json) -> Json:
        chat = self._writable(params)
        content = self._content(params)
        topic = self._topic(chat, params)
        replied = self._replied(chat, params)
        message = {
            "message_id": next(message_ids),
            "from": BOT,
            "chat": chat,
            "date": int(time.time()),
            **topic,
            **({"reply_to_message": replied} if replied else {}),
            **content,
        }
        self.messages[chat["id"], message["message_id"]] = message
        return message

    def send_message_draft(self, params: Json) -> bool:
        chat = self._writable(params)
        if chat["type"] != "private":
            raise bad_request("TEXTDRAFT_PEER_INVALID")
        if not params.get("draft_id"):
            raise bad_request("draft_id must be non-zero")
        text = self._content(params)["text"] if params.get("text") else ""
        self.drafts[chat["id"], params["draft_id"]] = text
        return True

    def edit_message_text(self, params: Json) -> Json:
        message = self._own(params, "edit")
        return self._edit(message, self._content(params))

    def edit_message_reply_markup(self, params: Json) -> Json:
        message = self._own(params, "edit")
        kept: Json = {name: message[name] for name in ("text", "entities") if name in message}
        return self._edit(message, {**kept, **reply_markup(params)})

    def delete_message(self, params: Json) -> bool:
        chat = self._writable(params)
        if self.messages.pop((chat["id"], params.get("message_id", 0)), None) is None:
            raise bad_request("message to delete not found")
        return True

    def send_chat_action(self, params: Json) -> bool:
        self._writable(params)
        if params.get("action") not in ACTIONS:
            raise bad_request("wrong parameter action in request")
        return True

    def set_message_reaction(self, params: Json) -> bool:
        chat = self._writable(params)
        if (chat["id"], params.get("message_id")) not in self.messages:
            raise bad_request("message to react not found")
        return True

    def answer_callback_query(self, params: Json) -> bool:
        if params.get("callback_query_id") not in self._queries:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        if len(params.get("text", "")) > NOTICE_MAX:
            raise bad_request("MESSAGE_TOO_LONG")
        self._queries.remove(params["callback_query_id"])
        return True

    def set_my_commands(self, params: Json) -> bool:
        commands = params.get("commands", [])
        for each in commands:
            if not COMMAND.fullmatch(each["command"]):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= len(each["description"]) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        if len(commands) > COMMANDS_MAX:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        self.commands[_scope(params)] = commands
        return True

    def get_my_commands(self, params: Json) -> list[Json]:
        """Return the list of exactly this scope and language: https://core.telegram.org/bots/api#getmycommands"""
        return self.commands.get(_scope(params), [])

    def delete_my_commands(self, params: Json) -> bool:
        self.commands.pop(_scope(params), None)
        return True

    def set_my_description(self, params: Json) -> bool:
        return self._describe("description", params)

    def get_my_description(self, params: Json) -> Json:
        return {"description": self.descriptions["description"]}

    def set_my_short_description(self, params: Json) -> bool:
        return self._describe("short_description", params)

    def get_my_short_description(self, params: Json) -> Json:
        return {"short_description": self.descriptions["short_description"]}

    def _describe(self, name: str, params: Json) -> bool:
        if len(params.get(name, "")) > DESCRIPTIONS_MAX[name]:
            raise bad_request("BOT_DESCRIPTION_TOO_LONG")
        self.descriptions[name] = params.get(name, "")
        return True

    def get_chat(self, params: Json) -> Json:
        chat = self._writable(params)
        return {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": _NO_GIFTS, **chat}

    def get_chat_member(self, params: Json) -> Json:
        chat = self._writable(params)
        person = self._members.get((chat["id"], params.get("user_id", 0)))
        if person is None:
            raise bad_request("PARTICIPANT_ID_INVALID")
        return {"user": person, "status": "member"}

    def get_file(self, params: Json) -> Json:
        number = params.get("file_id", "")
        if number not in self.files:
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        size = len(self.files[number])
        if size > MOST_DOWNLOADED:
            raise bad_request("file is too big")
        return {
            "file_id": number,
            "file_unique_id": f"u-{number}",
            "file_size": size,
            "file_path": f"files/{number}",
        }


def _scope(params: Json) -> tuple[str, str]:
    return params.get("scope", {}).get("type", "default"), params.get("language_code", "")


def find(name: str) -> Callable[[BotApi, Json], Any]:
    """Return the method with a name of the Bot API, such as `sendMessage`.

    Raises:
        ApiError: there is no such method.
    """
    own = re.sub(r"(?<=[a-z])[A-Z]", lambda upper: f"_{upper[0].lower()}", name)
    if not own.startswith("_") and own in {**vars(Media), **vars(BotApi)}:
        return getattr(BotApi, own)  # type: ignore[no-any-return]
    raise ApiError(404, "Not Found")
