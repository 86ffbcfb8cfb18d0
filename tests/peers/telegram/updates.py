"""Build Telegram's updates (https://core.telegram.org/bots/api#update), and post them.

Each builder returns a whole update. Its `**fields` replace fields of the message or add to them.
`TelegramServer.deliver` sends an update to the webhook of the gateway; `post` sends one to any URL.
"""

import itertools
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx

from peers import seed
from peers.emulate.control import TIMEOUT, Json
from peers.telegram.html import utf16_length

BOT_TOKEN = "1000000:peers-telegram-token"
BOT_ID = int(BOT_TOKEN.partition(":")[0])
BOT_USERNAME = "peer_bot"
SECRET_TOKEN = "peers-telegram-secret"

BOT: Json = {"id": BOT_ID, "is_bot": True, "first_name": "Peer", "username": BOT_USERNAME}
GROUP: Json = {"id": -1001000000001, "type": "supergroup", "title": "Peers"}
BASIC_GROUP: Json = {"id": -2001, "type": "group", "title": "Peers, small"}
FORUM: Json = {"id": -1001000000002, "type": "supergroup", "title": "Peers forum", "is_forum": True}
CHANNEL: Json = {"id": -1001000000003, "type": "channel", "title": "Peers news"}
ANONYMOUS_ADMIN: Json = {
    "id": 1087968824,
    "is_bot": True,
    "first_name": "Group",
    "username": "GroupAnonymousBot",
}
CHANNEL_BOT: Json = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}

_MARKED = re.compile(r"(?<!\w)(?:@\w{4,}|/[a-zA-Z0-9_]{1,32}(?:@\w+)?)")

#: increasing message ids, for people's messages from here and for the bot's messages in the same chats
message_ids = itertools.count(1)
_update_ids = itertools.count(700_000_001)


def post(url: str, update: Mapping[str, Any], secret_token: str | None = SECRET_TOKEN) -> httpx.Response:
    """Send an update with its secret token (https://core.telegram.org/bots/api#setwebhook).

    Args:
        secret_token: another one for a forged update, or `None` to leave the header out.
    """
    return httpx.post(url, json=dict(update), headers=secret_header(secret_token), timeout=TIMEOUT, trust_env=False)


def secret_header(secret_token: str | None) -> dict[str, str]:
    return {} if secret_token is None else {"X-Telegram-Bot-Api-Secret-Token": secret_token}


def user(person: seed.Person) -> Json:
    return {
        "id": person.telegram_id,
        "is_bot": False,
        "first_name": person.name.capitalize(),
        "username": f"{person.name}_peer",
        "language_code": "en",
    }


def private_chat(person: seed.Person) -> Json:
    who = user(person)
    return {"id": who["id"], "type": "private", "first_name": who["first_name"], "username": who["username"]}


def private_message(text: str, person: seed.Person = seed.ALICE, **fields: Any) -> Json:
    return _update("message", _message(private_chat(person), text, user(person), **fields))


def group_message(text: str, person: seed.Person = seed.ALICE, chat: Json = GROUP, **fields: Any) -> Json:
    """Build a message in a group, with the entities of the mentions and commands in its text."""
    return _update("message", _message(chat, text, user(person), **fields))


def group_mention(text: str, person: seed.Person = seed.ALICE, chat: Json = GROUP, **fields: Any) -> Json:
    """Build a group message that begins with the bot's @username."""
    return group_message(f"@{BOT_USERNAME} {text}", person, chat, **fields)


def text_mention(text: str, person: seed.Person = seed.ALICE, chat: Json = GROUP, **fields: Any) -> Json:
    """Build a group message that mentions the bot with a `text_mention` entity, without its @username."""
    name = BOT["first_name"]
    entity = {"type": "text_mention", "offset": 0, "length": utf16_length(name), "user": BOT}
    return group_message(f"{name} {text}", person, chat, entities=[entity], **fields)


def command(
    name: str,
    rest: str = "",
    person: seed.Person = seed.ALICE,
    chat: Json | None = None,
    at_bot: bool = False,
) -> Json:
    """Build a message `/name rest`, in a private chat or, with `chat`, in a group.

    Args:
        at_bot: write the command as `/name@bot`.
    """
    text = f"/{name}{f'@{BOT_USERNAME}' if at_bot else ''}{f' {rest}' if rest else ''}"
    return group_message(text, person, chat) if chat else private_message(text, person)


def reply(text: str, to: Mapping[str, Any], person: seed.Person = seed.ALICE, **fields: Any) -> Json:
    """Build a reply in the chat of the message that it replies to.

    Args:
        to: that message: an answer of sendMessage, or the `message` of an update.
    """
    quoted = {name: value for name, value in to.items() if name != "reply_to_message"}
    return _update("message", _message(to["chat"], text, user(person), reply_to_message=quoted, **fields))


def edited(update: Mapping[str, Any], text: str) -> Json:
    """Build the update that follows when the sender edits the message of `update`."""
    kind = "edited_channel_post" if "channel_post" in update else "edited_message"
    before = update.get("message") or update["channel_post"]
    return _update(kind, {**before, "text": text, "edit_date": int(time.time()), **_entities(text)})


def anonymous_admin(text: str, chat: Json = GROUP, **fields: Any) -> Json:
    """Build a message of an administrator who writes as the group itself, so that no person is its sender."""
    return _update("message", _message(chat, text, ANONYMOUS_ADMIN, sender_chat=chat, **fields))


def as_channel(text: str, chat: Json = GROUP, channel: Json = CHANNEL, **fields: Any) -> Json:
    """Build a message in a group, written in the name of a channel."""
    return _update("message", _message(chat, text, CHANNEL_BOT, sender_chat=channel, **fields))


def channel_post(text: str, channel: Json = CHANNEL, **fields: Any) -> Json:
    return _update("channel_post", _message(channel, text, None, sender_chat=channel, **fields))


def new_chat_members(*persons: seed.Person, chat: Json = GROUP, by: seed.Person = seed.ALICE) -> Json:
    """Build the message that people, or the bot if none are given, have joined a group."""
    members = [user(person) for person in persons] or [BOT]
    return _update("message", _message(chat, None, user(by), new_chat_members=members))


def migration(old: Json, new_id: int, by: seed.Person = seed.ALICE) -> tuple[Json, Json]:
    """Build the two messages about a group that becomes a supergroup: one in the old group, one in the new."""
    new = {**old, "id": new_id, "type": "supergroup"}
    return (
        _update("message", _message(old, None, user(by), migrate_to_chat_id=new_id)),
        _update("message", _message(new, None, ANONYMOUS_ADMIN, sender_chat=new, migrate_from_chat_id=old["id"])),
    )


def album(*captions: str | None, person: seed.Person = seed.ALICE, chat: Json | None = None) -> list[Json]:
    """Build the messages of an album: one photo for each caption, which may be `None`."""
    group = str(next(_update_ids))
    return [
        photo(caption, person, chat, f"photo-{number}", media_group_id=group) for number, caption in enumerate(captions)
    ]


def checklist(person: seed.Person = seed.ALICE) -> Json:
    """Build a message with a checklist: https://core.telegram.org/bots/api#checklist"""
    tasks = [{"id": 1, "text": "milk"}, {"id": 2, "text": "bread"}]
    given = {"title": "Shopping", "tasks": tasks, "others_can_add_tasks": True}
    return _update("message", _message(private_chat(person), None, user(person), checklist=given))


def rich_message(person: seed.Person = seed.ALICE) -> Json:
    """Build a rich message: https://core.telegram.org/bots/api#richmessage"""
    given = {"blocks": [{"type": "paragraph", "text": "hello"}]}
    return _update("message", _message(private_chat(person), None, user(person), rich_message=given))


def photo(
    caption: str | None = None,
    person: seed.Person = seed.ALICE,
    chat: Json | None = None,
    file_id: str = "photo-file",
    **fields: Any,
) -> Json:
    """Build a photo in two sizes, the larger one last.

    Args:
        file_id: the id of the larger size. `TelegramServer.add_file` adds its content.
    """
    small = {"file_id": f"{file_id}-s", "file_unique_id": f"u-{file_id}-s", "width": 90, "height": 67}
    large = {"file_id": file_id, "file_unique_id": f"u-{file_id}", "width": 800, "height": 600}
    captioned = {"caption": caption, **_entities(caption, "caption_entities")} if caption else {}
    where = chat or private_chat(person)
    sizes = [{**small, "file_size": 1000}, {**large, "file_size": 70000}]
    return _update("message", _message(where, None, user(person), photo=sizes, **captioned, **fields))


def attached(caption: str | None = None, person: seed.Person = seed.ALICE, **fields: Any) -> Json:
    """Build a private message with an attachment.

    Args:
        fields: fields of the message, such as `voice` or `location`.
    """
    captioned = {"caption": caption, **_entities(caption, "caption_entities")} if caption else {}
    return _update("message", _message(private_chat(person), None, user(person), **captioned, **fields))


def topic_message(
    text: str, thread_id: int = 7, person: seed.Person = seed.ALICE, chat: Json = FORUM, **fields: Any
) -> Json:
    """Build a message in a topic of a forum.

    Telegram marks a message in a topic as a reply to the creation of the topic, unless it replies to something else.
    """
    topic = {"message_thread_id": thread_id, "is_topic_message": True}
    created = {"forum_topic_created": {"name": f"Topic {thread_id}", "icon_color": 7322096}}
    root = {
        "message_id": thread_id,
        "from": user(seed.CAROL),
        "chat": chat,
        "date": 1700000000,
        **topic,
        **created,
    }
    return group_message(text, person, chat, **{**topic, "reply_to_message": root, **fields})


def callback_query(data: str, message: Mapping[str, Any], person: seed.Person = seed.ALICE) -> Json:
    """Build the update that follows when a person presses a button under a message of the bot."""
    number = next(_update_ids)
    query = {
        "id": str(number),
        "from": user(person),
        "message": dict(message),
        "chat_instance": "1",
        "data": data,
    }
    return {"update_id": number, "callback_query": query}


def generation_stopped(person: seed.Person = seed.ALICE) -> Json:
    """Build the update that follows when a person stops a draft of the bot.

    https://core.telegram.org/bots/api#messagegenerationstopped
    """
    chat = private_message("", person)["message"]["chat"]
    return {"update_id": next(_update_ids), "stopped_message_generation": {"chat": chat, "draft_id": 1}}


def reaction(
    message: Mapping[str, Any], new: str, old: str = "", person: seed.Person = seed.ALICE, **fields: Any
) -> Json:
    """Build the update that follows when a person changes their reactions to a message.

    In a group, only a bot that is an administrator gets it.

    Args:
        message: the message, as sendMessage returned it.
        new: the emojis of the person's reactions now.
        old: the emojis of their reactions before.
        fields: fields of the change, such as `actor_chat` for an anonymous one, which has no `user`.
    """
    kinds = {
        name: [{"type": "emoji", "emoji": emoji} for emoji in emojis]
        for name, emojis in (("old_reaction", old), ("new_reaction", new))
    }
    who = {} if "actor_chat" in fields else {"user": user(person)}
    change = {"chat": message["chat"], "message_id": message["message_id"], "date": int(time.time())}
    return _update("message_reaction", {**change, **who, **kinds, **fields})


def my_chat_member(chat: Json, old: str, new: str, by: seed.Person = seed.ALICE) -> Json:
    """Build the update that follows when the bot's own status in a chat changes.

    Args:
        old: `member`, `administrator`, `left` or `kicked`. In a private chat, `kicked` means that the bot is
            blocked.
        new: one of the same values.
    """
    change = {
        "old_chat_member": {"user": BOT, "status": old},
        "new_chat_member": {"user": BOT, "status": new},
    }
    return _update("my_chat_member", {"chat": chat, "from": user(by), "date": int(time.time()), **change})


def _update(kind: str, content: Json) -> Json:
    return {"update_id": next(_update_ids), kind: content}


def _message(chat: Json, text: str | None, sender: Json | None, **fields: Any) -> Json:
    return {
        "message_id": next(message_ids),
        **({"from": sender} if sender else {}),
        "chat": chat,
        "date": int(time.time()),
        **({"text": text, **_entities(text)} if text is not None else {}),
        **fields,
    }


def _entities(text: str, name: str = "entities") -> Json:
    """Return the entities of the mentions and commands in a text, with offsets in UTF-16 code units."""
    found = [
        {
            "type": "mention" if match[0].startswith("@") else "bot_command",
            "offset": utf16_length(text[: match.start()]),
            "length": utf16_length(match[0]),
        }
        for match in _MARKED.finditer(text)
    ]
    return {name: found} if found else {}
