"""Parse Telegram's HTML into a text and its entities, as the Bot API does, and refuse the same mistakes.

https://core.telegram.org/bots/api#html-style
"""

import html
import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

#: the type of the entity for each tag; `None` if the type depends on the attributes
TAGS: dict[str, str | None] = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "tg-emoji": "custom_emoji",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": None,
}
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#[xX][0-9a-fA-F]+);")
_NAME = re.compile(r"[^\s>]*")
_ATTRIBUTE = re.compile(r"""\s+([^\s=>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_END = re.compile(r"\s*>")


class HtmlError(Exception):
    """The HTML has a mistake. The message is what the Bot API says after `can't parse entities: `."""


@dataclass
class _Open:
    tag: str
    attributes: dict[str, str]
    start: int  # UTF-16 code units of the text before the tag


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, the unit of Telegram's lengths and offsets."""
    return len(text.encode("utf-16-le")) // 2


def parse(source: str) -> tuple[str, list[Json]]:
    """Return the text and its entities. A lone `>` or `&` is part of the text, as at Telegram.

    Raises:
        HtmlError: a tag is unknown, is not closed, or is closed by another tag; or a `<` does not begin a tag.
    """
    text = ""
    entities: list[Json] = []
    opened: list[_Open] = []
    at = 0
    while at < len(source):
        if source[at] == "&" and (escape := _ENTITY.match(source, at)):
            text += html.unescape(escape[0])
            at = escape.end()
        elif source.startswith("</", at):
            at = _close(source, at, text, opened, entities)
        elif source[at] == "<":
            at = _open(source, at, text, opened)
        else:
            text += source[at]
            at += 1
    if opened:
        raise HtmlError(f'Can\'t find end tag corresponding to start tag "{opened[-1].tag}"')
    return text, sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))


def _open(source: str, at: int, text: str, opened: list[_Open]) -> int:
    where = f"at byte offset {len(source[:at].encode())}"
    name = _NAME.match(source, at + 1)
    assert name is not None
    tag = name[0].lower()
    if name.end() == len(source):
        raise HtmlError(f"Unclosed start tag {where}")
    if tag not in TAGS:
        raise HtmlError(f'Unsupported start tag "{tag}" {where}')
    attributes = {}
    at = name.end()
    while found := _ATTRIBUTE.match(source, at):
        attributes[found[1].lower()] = html.unescape((found[2] or "").strip("\"'"))
        at = found.end()
    end = _END.match(source, at)
    if not end:
        raise HtmlError(f"Unclosed start tag {where}")
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise HtmlError(f'Tag "span" must have class "tg-spoiler" {where}')
    opened.append(_Open(tag, attributes, utf16_length(text)))
    return end.end()


def _close(source: str, at: int, text: str, opened: list[_Open], entities: list[Json]) -> int:
    where = f"at byte offset {len(source[:at].encode())}"
    if not opened:
        raise HtmlError(f"Unexpected end tag {where}")
    name = _NAME.match(source, at + 2)
    assert name is not None
    end = _END.match(source, name.end())
    if not end:
        raise HtmlError(f"Unclosed end tag {where}")
    last = opened.pop()
    if name[0] and name[0].lower() != last.tag:
        raise HtmlError(f'Unmatched end tag {where}, expected "</{last.tag}>", found "</{name[0]}>"')
    length = utf16_length(text) - last.start
    if length:
        _add(entities, last, length)
    return end.end()


def _add(entities: list[Json], last: _Open, length: int) -> None:
    place = {"offset": last.start, "length": length}
    kind, given = TAGS[last.tag], last.attributes
    if last.tag == "blockquote":
        kind = "expandable_blockquote" if "expandable" in given else "blockquote"
    entity: Json = {"type": kind, **place}
    if last.tag == "a":
        if not given.get("href"):
            return
        entity["url"] = given["href"]
    elif last.tag == "tg-emoji":
        entity["custom_emoji_id"] = given.get("emoji-id", "")
    elif last.tag == "pre" and entities and entities[-1].get("language") and _same(entities[-1], entity):
        entity["language"] = entities.pop()["language"]
    elif last.tag == "code" and given.get("class", "").startswith("language-"):
        entity["language"] = given["class"].removeprefix("language-")
    entities.append(entity)


def _same(one: Json, other: Json) -> bool:
    return (one["offset"], one["length"]) == (other["offset"], other["length"])
