"""What the channels make of markdown: valid, within the limit, complete."""

import random
import re

import pytest
from peers import telegram_html

from interfaces.markdown import Renderer
from interfaces.slack.format import MrkdwnRenderer
from interfaces.telegram.format import HtmlRenderer
from interfaces.whatsapp.format import WhatsAppRenderer

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


def test_slack() -> None:
    assert MrkdwnRenderer().render(EVERYTHING) == [
        "*Title*\n\n"
        "A _slanted_, *strong*, ~gone~ `code &lt;b&gt;` <https://a.test/?x=1&y=2|link> word &lt;script&gt;.\n\n"
        "• one\n• two\n    1. nested\n    2. again\n\n"
        "> quoted\n> twice\n\n"
        "```\nif a &lt; b: pass\n```\n\n"
        "```\na | b\n--+---\n1 | 22\n```\n\n"
        "———"
    ]


def test_telegram() -> None:
    assert HtmlRenderer().render(EVERYTHING) == [
        "<b>Title</b>\n\n"
        "A <i>slanted</i>, <b>strong</b>, <s>gone</s> <code>code &lt;b&gt;</code> "
        '<a href="https://a.test/?x=1&amp;y=2">link</a> word &lt;script&gt;.\n\n'
        "• one\n• two\n    1. nested\n    2. again\n\n"
        "<blockquote>quoted\ntwice</blockquote>\n\n"
        '<pre><code class="language-python">if a &lt; b: pass</code></pre>\n\n'
        "<pre>a | b\n--+---\n1 | 22</pre>\n\n"
        "———"
    ]


def test_whatsapp() -> None:
    assert WhatsAppRenderer().render(EVERYTHING) == [
        "*Title*\n\n"
        "A _slanted_, *strong*, ~gone~ `code <b>` link (https://a.test/?x=1&y=2) word <script>.\n\n"
        "• one\n• two\n    1. nested\n    2. again\n\n"
        "> quoted\n> twice\n\n"
        "```if a < b: pass```\n\n"
        "```a | b\n--+---\n1 | 22```\n\n"
        "———"
    ]


def test_slack_is_told_nothing_that_it_would_act_on() -> None:
    assert MrkdwnRenderer().render("<!channel> <@U1> &lt;!here&gt;") == ["&lt;!channel&gt; &lt;@U1&gt; &lt;!here&gt;"]


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize(
    "markdown",
    ["word " * 5000, "🎭" * 9000, "<&>" * 9000, "**" + "bold " * 3000 + "**", "- item & more\n" * 2000,
     "> " + "quoted " * 4000, "```\n" + "line < line\n" * 2000 + "```", "```\n" + "<" * 30000 + "\n```",
     "| a | b |\n|---|---|\n" + "| x | y |\n" * 3000, "- a\n" + "  - " + "deep " * 4000, "`" + "c" * 20000 + "`"],
    ids=range(11),
)  # fmt: skip
def test_a_long_text_comes_in_parts_within_the_limit(name: str, markdown: str) -> None:
    renderer, limit = RENDERERS[name]
    parts = renderer.render(markdown)
    assert len(parts) > 1
    assert all(0 < units(part) <= limit for part in parts)
    if name == "telegram":
        for part in parts:
            telegram_html.parse(part)


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("seed", range(60))
def test_no_text_is_lost_whatever_the_markdown(name: str, seed: int) -> None:
    source = random.Random(seed)
    pieces = [
        "**",
        "*",
        "`",
        "~~",
        "[",
        "](x)",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "> ",
        "# ",
        "```\n",
        "<b>",
        "&",
        "|",
        "\\",
        " ",
    ]
    words = [f"w{number}w" for number in range(source.randint(1, 400))]
    markdown = "".join(word + "".join(source.choices(pieces, k=source.randint(0, 3))) for word in words)
    renderer, limit = RENDERERS[name]
    parts = renderer.render(markdown)
    assert all(0 < units(part) <= limit for part in parts)
    if name == "telegram":
        parts = [telegram_html.parse(part)[0] for part in parts]
    rendered = "\n".join(parts)
    lost = [word for word in words if not re.search(word, rendered)]
    # What stands in a fence's info line or in the address of a link is not text.
    assert all(re.search(rf"```[^\n]*{word}|\][^\n]*\({word}", markdown) or "```" in markdown for word in lost), lost


@pytest.mark.parametrize("name", RENDERERS)
def test_nothing_comes_of_nothing(name: str) -> None:
    assert RENDERERS[name][0].render(" \n\n ") == []
