"""Render markdown as Slack's mrkdwn, and read it: https://docs.slack.dev/messaging/formatting-message-text"""

import re
from collections.abc import Mapping

from interfaces.markdown import MarkRenderer
from interfaces.markdown.marks import ZERO_WIDTH_SPACE

LIMIT = 4000  # characters: Slack's advice. It takes some 40,000, so that marks have room

_ESCAPES: Mapping[str, str] = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CONTROL = re.compile(r"<([^<>]*)>")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)[|>]")


def escape(text: str) -> str:
    """Escape a text, so that Slack shows it unchanged."""
    return re.sub("[&<>]", lambda match: _ESCAPES[match[0]], text)


def unescape(text: str, names: Mapping[str, str] | None = None) -> str:
    """Return a message's text as the person saw it, without Slack's marks for people, links, channels and `&`.

    Args:
        names: the names of the people whom it mentions, by their ids.
    """
    written = _CONTROL.sub(lambda match: _written(match[1], names or {}), text)
    return written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def without_mention(text: str, user_id: str) -> str:
    """Return a text without the mentions of one user, which Slack marks as `<@U123>` or `<@U123|name>`."""
    return re.sub(rf"<@{re.escape(user_id)}(\|[^<>]*)?>[ \t]*", "", text).strip()


def mentioned_in(text: str) -> list[str]:
    """Return the ids of the people whom a text mentions."""
    return _MENTION.findall(text)


def link(text: str, address: str) -> str:
    """Return a link. Characters that would end it are encoded in the address; `&` stays, as Slack accepts it."""
    safe = address.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace(" ", "%20")
    return f"<{safe}|{text}>"


def _written(control: str, names: Mapping[str, str]) -> str:
    """Return what a person saw for one of Slack's marks, the text between `<` and `>`."""
    target, _, label = control.partition("|")
    match target[:1]:
        case "#":
            return f"#{label}" if label else f"&lt;{target}&gt;"
        case "!":
            return label or f"@{target[1:]}"
        case "@":
            name = names.get(target[1:]) or label.removeprefix("@")
            return f"@{escape(name) if target[1:] in names else name}" if name else f"&lt;{target}&gt;"
    if not label or target.endswith(label):  # Slack linked it by itself: "example.com", an e-mail address
        return label or target
    return f"[{label}]({target})"


class MrkdwnRenderer(MarkRenderer):
    """Renders markdown as mrkdwn.

    Slack does not recognize a mark inside a word, nor in text without spaces between words. A zero-width space
    separates the mark from the word.
    """

    joiner = ZERO_WIDTH_SPACE

    def __init__(self) -> None:
        super().__init__(LIMIT)

    def escape(self, text: str) -> str:
        return escape(text)

    def code_block(self, text: str, language: str) -> str:
        return f"```\n{escape(text)}\n```"

    def link(self, text: str, address: str) -> str:
        return link(text, address)
