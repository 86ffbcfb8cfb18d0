"""The methods of the Bot API that send files: https://core.telegram.org/bots/api#sending-files"""

import time
from itertools import count
from typing import Any

from peers.emulate.control import Json
from peers.telegram.chats import Chats, bad_request
from peers.telegram.html import HtmlError, parse, utf16_length
from peers.telegram.updates import BOT, message_ids

MOST_UPLOADED = 50 * 1000 * 1000  # bytes
MOST_PHOTO = 10 * 1000 * 1000  # bytes
LONGEST_CAPTION = 1024  # UTF-16 code units, after the entities are parsed
ALBUM = range(2, 11)  # the numbers of files that an album may have
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")

_file_ids = count(1)


class Media(Chats):
    """The methods of `BotApi` that send files. A file is a parameter with its name and its content."""

    def send_photo(self, params: Json) -> Json:
        return self._send_one("photo", params)

    def send_animation(self, params: Json) -> Json:
        return self._send_one("animation", params)

    def send_video(self, params: Json) -> Json:
        return self._send_one("video", params)

    def send_voice(self, params: Json) -> Json:
        return self._send_one("voice", params)

    def send_audio(self, params: Json) -> Json:
        return self._send_one("audio", params)

    def send_document(self, params: Json) -> Json:
        return self._send_one("document", params)

    def send_media_group(self, params: Json) -> list[Json]:
        media = params.get("media", [])
        if len(media) not in ALBUM:
            raise bad_request("wrong number of messages in the album")
        kinds = {each["type"] for each in media}
        if len(kinds) > 1 and not kinds <= {"photo", "video"}:
            raise bad_request("can't mix these types in one album")
        files = [(each, params.get(each["media"].removeprefix("attach://"))) for each in media]
        group = str(next(_file_ids))
        for each, file in files:
            self._check(each["type"], file)
        return [self._add(each["type"], file, {**params, **each}, {"media_group_id": group}) for each, file in files]

    def _send_one(self, kind: str, params: Json) -> Json:
        self._check(kind, params.get(kind))
        return self._add(kind, params[kind], params, {})

    def _check(self, kind: str, file: Any) -> None:
        if not isinstance(file, tuple):
            raise bad_request("there is no file in the request")
        _, content = file
        if not content:
            raise bad_request("file must be non-empty")
        if len(content) > MOST_UPLOADED:
            raise bad_request("file is too big")
        if kind == "photo" and (len(content) > MOST_PHOTO or not content.startswith(PICTURES)):
            raise bad_request("IMAGE_PROCESS_FAILED")

    def _add(self, kind: str, file: tuple[str, bytes], params: Json, fields: Json) -> Json:
        chat, (name, content) = self._writable(params), file
        caption, entities = params.get("caption") or "", []
        if params.get("parse_mode", "").upper() == "HTML":
            try:
                caption, entities = parse(caption)
            except HtmlError as error:
                raise bad_request(f"can't parse entities: {error}") from error
        if utf16_length(caption) > LONGEST_CAPTION:
            raise bad_request("message caption is too long")
        topic, replied, number = self._topic(chat, params), self._replied(chat, params), f"sent-{next(_file_ids)}"
        self.files[number] = content
        about: Json = {"file_id": number, "file_unique_id": f"u-{number}", "file_size": len(content), "file_name": name}
        shown: Any = about
        if kind == "photo":
            shown = [{**about, "width": 1, "height": 1}]
        elif kind in ("video", "animation"):
            shown = {**about, "width": 1, "height": 1, "duration": 1}
        elif kind in ("voice", "audio"):
            shown = {**about, "duration": 1}
        message = {
            "message_id": next(message_ids),
            "from": BOT,
            "chat": chat,
            "date": int(time.time()),
            kind: shown,
            **topic,
            **({"caption": caption} if caption else {}),
            **({"caption_entities": entities} if entities else {}),
            **({"reply_to_message": replied} if replied else {}),
            **fields,
        }
        self.messages[chat["id"], message["message_id"]] = message
        return message
