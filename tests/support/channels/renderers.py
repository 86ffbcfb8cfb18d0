"""The renderers of the channels, with the limits of their platforms, and a text with every kind of markup."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from markdown_it.token import Token
from peers.telegram import html as telegram_html

from gateway.channels.presenter import MARK_LENGTH
from interfaces.chatkit.format import to_markdown
from interfaces.markdown import Renderer
from interfaces.markdown.parser import Parser, TooComplexError, parse
from interfaces.slack.format import MrkdwnRenderer
from interfaces.telegram.format import HtmlRenderer, plain
from interfaces.web.format import to_html
from interfaces.whatsapp.format import WhatsAppRenderer
from toolkits.text import storable

RENDERERS: dict[str, tuple[Renderer, int]] = {
    "slack": (MrkdwnRenderer(), 4000),
    "telegram": (HtmlRenderer(), 4096),
    "whatsapp": (WhatsAppRenderer(), 1600),
}
EVERYTHING = """\
# Title

A *slanted*, **strong**, ~~gone~~ `code <b>` [link](https://a.test/?x=1&y=2) word <script>.

- one
- two
  1. nested
  2. again

> quoted
> twice

```python
if a < b: pass
```

| a | b |
|---|---|
| 1 | 22 |

---
"""


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def length(name: str, part: str) -> int:
    """Return the length of a part as its platform counts it: Telegram without tags, and escapes as characters."""
    return units(telegram_html.parse(part)[0] if name == "telegram" else part)


def check_rendering(name: str, markdown: str) -> None:
    """Check each rendered part of a text against the platform's documentation, and that no letter or digit is lost.

    Raises:
        AssertionError, HtmlError: a part breaks a rule of the platform, or something is missing.
    """
    renderer, limit = RENDERERS[name]
    parts = renderer.render(markdown)
    seen: list[str] = []
    for part in parts:
        part.encode()
        assert part.strip()
        text, entities = telegram_html.parse(part) if name == "telegram" else (part, [])
        assert units(text) <= limit - (MARK_LENGTH if name != "slack" else 0)
        check_nesting(entities)
        if name == "telegram":
            assert units(plain(part)) <= limit
        else:
            assert part.count("```") % 2 == 0 or is_too_complex(markdown)
        if name == "slack":  # https://docs.slack.dev/messaging/formatting-message-text
            assert all(re.match(r"(?:https?://|mailto:|tel:)[^<>|]+\|[^<>]*>", mark) for mark in part.split("<")[1:])
            text = html.unescape(re.sub(r"<[^|>]*\|([^>]*)>", r"\1", part))
        seen.append(text)
    wanted, found = letters(visible(markdown)), letters("".join(seen))
    assert not Counter(wanted) - Counter(found)
    if "|" not in markdown:  # the headers of a table move to its rows
        rest = iter(found)  # in the same order, with addresses, numbers of lists and the like in between
        assert all(letter in rest for letter in wanted)


def check_nesting(entities: list[dict[str, Any]]) -> None:
    """Check the rules of https://core.telegram.org/bots/api#formatting-options; a quote may hold links and code."""
    for number, outer in enumerate(entities):
        end = outer["offset"] + outer["length"]
        for inner in entities[number + 1 :]:
            if inner["offset"] >= end:
                continue
            assert inner["offset"] + inner["length"] <= end
            kinds = {outer["type"], inner["type"]}
            assert len(kinds) == 2, kinds
            assert not kinds & {"code", "pre"} or "blockquote" in kinds, kinds


def is_too_complex(markdown: str) -> bool:
    try:
        parse(Parser(), storable(markdown))
    except TooComplexError:
        return True
    return False


def visible(markdown: str) -> str:
    """Return the text that markdown-it renders as HTML, without its tags."""
    if is_too_complex(markdown):
        return storable(markdown)
    return " ".join(_contents(parse(Parser(), storable(markdown))))


def _contents(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.children is None:
            yield token.content
        else:
            yield from _contents(token.children)


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


PLAIN: dict[str, Callable[[str], list[str]]] = {
    **{name: renderer.render for name, (renderer, _) in RENDERERS.items()},
    "web": lambda markdown: [to_html(markdown)],
    "chatkit": lambda markdown: [to_markdown(markdown)],
}
