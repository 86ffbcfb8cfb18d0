"""Slack's mrkdwn: https://docs.slack.dev/messaging/formatting-message-text"""

import re
from collections.abc import Mapping

from interfaces.markdown import MarkRenderer

LIMIT = 4000  # characters that Slack advises for one message

_ESCAPES: Mapping[str, str] = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CONTROL = re.compile(r"<([^<>]*)>")


def escape(text: str) -> str:
    return re.sub("[&<>]", lambda match: _ESCAPES[match[0]], text)


def unescape(text: str) -> str:
    """A message's text as the person wrote it: what Slack made of links, channels and `&` taken back."""
    written = _CONTROL.sub(lambda match: _written(match[1]), text)
    return written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def without_mention(text: str, user_id: str) -> str:
    """The text without the mentions of one user, as Slack marks them: `<@U123>` or `<@U123|name>`."""
    return re.sub(rf"<@{re.escape(user_id)}(\|[^<>]*)?>[ \t]*", "", text).strip()


def link(text: str, address: str) -> str:
    """A link. Its address keeps its `&`, which Slack takes as it is; what would end the link is encoded."""
    safe = address.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace(" ", "%20")
    return f"<{safe}|{text}>"


def _written(control: str) -> str:
    target, _, label = control.partition("|")
    match target[:1]:
        case "#":
            return f"#{label}" if label else f"&lt;{target}&gt;"
        case "!":
            return label or f"@{target[1:]}"
        case "@":
            return f"&lt;{target}&gt;"
    if not label or target.endswith(label):  # what Slack linked by itself: "example.com", an e-mail address
        return label or target
    return f"[{label}]({target})"


class MrkdwnRenderer(MarkRenderer):
    def __init__(self) -> None:
        super().__init__(LIMIT)

    def escape(self, text: str) -> str:
        return escape(text)

    def code_block(self, text: str, language: str) -> str:
        return f"```\n{escape(text)}\n```"

    def link(self, text: str, address: str) -> str:
        return link(text, address)
