"""Untrusted markdown: the work to render it is bounded, and its links lead only to pages and people."""

import html
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import pytest
from markdown_it import MarkdownIt
from peers.telegram import html as telegram_html
from support.channels.renderers import PLAIN, RENDERERS, length, units

from interfaces.chatkit.format import to_markdown
from interfaces.slack.format import MrkdwnRenderer
from interfaces.telegram.format import HtmlRenderer
from interfaces.web.format import to_html

pytestmark = pytest.mark.long

HOSTILE: dict[str, Callable[[int], str]] = {
    "bold in bold": lambda n: "**a " * n + "b** " * n,
    "bold in bold, never closed": lambda n: "**a " * n,
    "emphasis in emphasis": lambda n: "*a _b " * n + "b_ a* " * n,
    "struck in struck": lambda n: "~~a " * n + "b~~ " * n,
    "asterisks": lambda n: "*" * n + "a" + "*" * n,
    "links in links": lambda n: "[" * n + "a" + "](https://a.test)" * n,
    "images in images": lambda n: "![" * n + "a" + "](https://a.test)" * n,
    "quotes in quotes": lambda n: "> " * n + "a",
    "lists in lists": lambda n: "- " * n + "a",
    "numbers in numbers": lambda n: "999999999. " * n + "word " * 5000,
    "open brackets": lambda n: "[" * n,
    "backticks": lambda n: "`" * n + "\na",
    "backticks of all lengths": lambda n: " ".join("`" * count for count in range(1, n // 100)),
    "less than": lambda n: "<" * n,
    "underscores": lambda n: "_a" * n,
    "ampersands": lambda n: "&" * n,
    "one word": lambda n: "a" * (100 * n),
    "one word of code": lambda n: "```\n" + "<" * (100 * n) + "\n```",
    "long lines of code": lambda n: "```\n" + "a\n" * (10 * n) + "```",
    "a long table": lambda n: "| a | b |\n|---|---|\n" + "| x | y |\n" * n,
    "a wide table": lambda n: "|a" * n + "|\n" + "|-" * n + "|\n" + "|b" * n + "|",
    "a table of empty rows": lambda n: "|a" * 60 + "|\n" + "|-" * 60 + "|\n" + "|\n" * n,
    "a table with a long cell": lambda n: "| a | b |\n|-|-|\n| " + "w " * n + "| x |\n" + "| y | z |\n" * n,
    "items": lambda n: "- a\n" * (10 * n),
    "lists between text": lambda n: "- a\n\nb\n\n" * (3 * n),
    "headings": lambda n: "# a\n" * (10 * n),
    "bold words": lambda n: "**a** " * (5 * n),
    "bold words without spaces": lambda n: "**重要。**これは" * (3 * n),
    "links without an end": lambda n: "[a](" * (10 * n),
    "addresses": lambda n: "<https://a.test> " * (2 * n),
    "definitions": lambda n: "[a]: <b\n" * (5 * n),
    "footnotes": lambda n: "[^1] " * (5 * n) + "\n\n[^1]: a",
    "small tables": lambda n: "|a|b|\n|-|-|\n|x|y|\n\n" * n,
    "long headers": lambda n: "|" + "a" * n + "|b|\n|-|-|\n" + "|x|y|\n" * n,
    "quoted lines": lambda n: "".join(">" * (depth % 19) + " a\n" for depth in range(n)),
    "lone surrogates": lambda n: "a\ud800 \udc00" * n,
    "nul": lambda n: "a\0 " * n,
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", HOSTILE)
def test_any_text_is_rendered_whole_and_within_the_limit(name: str, kind: str) -> None:
    markdown = HOSTILE[kind](500)
    parts = PLAIN[name](markdown)
    assert parts
    assert "".join(parts).encode()  # no platform takes a lone surrogate
    if name in RENDERERS:
        assert max(length(name, part) for part in parts) <= RENDERERS[name][1]
        # A few characters do not become many messages because of padding or filled-up cells.
        assert sum(map(units, parts)) < 8 * len(markdown) + 150_000


@pytest.mark.parametrize("name", ["slack", "telegram", "web"])  # WhatsApp renders as Slack, and ChatKit only parses
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_work_grows_linearly_with_the_text(name: str, kind: str) -> None:
    """Count executed lines of Python: four times the text takes four times as many, not sixteen times."""

    def lines(count: int) -> int:
        markdown, executed = HOSTILE[kind](count), 0

        def trace(frame: FrameType, event: str, argument: object) -> Callable[..., object]:
            nonlocal executed
            executed += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            PLAIN[name](markdown)
        finally:
            sys.settrace(before)
        return executed

    assert lines(160) < 8 * lines(40) + 10_000  # a constant, since texts of more than one part take another path


@pytest.mark.parametrize("name", PLAIN)
def test_a_text_that_is_too_complex_is_plain_text_and_escaped(name: str, caplog: pytest.LogCaptureFixture) -> None:
    markdown = "**a <!channel> & " * 300 + "b** " * 300
    parts = PLAIN[name](markdown)
    assert "is shown as plain text" in caplog.text
    assert "channel" not in caplog.text
    joined = " ".join(parts)
    match name:
        case "chatkit":
            assert re.sub(r"\\(.)", r"\1", joined) == markdown
        case "telegram":
            assert " ".join(telegram_html.parse(part)[0] for part in parts).split() == markdown.split()
        case "whatsapp":
            assert joined.split() == markdown.split()
        case _:
            assert not re.search(r"<(?!/?p>)|&(?!amp;|lt;|gt;)", joined)
            assert html.unescape(re.sub(r"</?p>", "", joined)).split() == markdown.split()


@pytest.mark.parametrize("name", PLAIN)
def test_a_failure_of_the_parser_is_plain_text(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(MarkdownIt, "parse", fail)
    assert PLAIN[name]("hello") == (["<p>hello</p>"] if name == "web" else ["hello"])
    assert "RecursionError" in caplog.text


SCHEMES = ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "java&#115;cript:alert(1)", "data:text/html,x", "file:///etc",
           "vbscript:x", "slack://open", "vscode://file/x", "tg://user?id=1", "intent:x", "about:blank"]  # fmt: skip


@pytest.mark.parametrize("address", SCHEMES)
@pytest.mark.parametrize("written", ["[label]({})", "![label]({})", "[label]: {}\n\n[label]", "<{}>"])
def test_no_channel_links_to_another_scheme(address: str, written: str) -> None:
    markdown = written.format(address)
    assert "href" not in to_html(markdown)
    assert "<a" not in "".join(HtmlRenderer().render(markdown))
    assert "<" not in "".join(MrkdwnRenderer().render(markdown))
    left = MarkdownIt("commonmark")
    left.validateLink = lambda _: True  # type: ignore[method-assign]
    assert not re.search("href|<img", left.render(to_markdown(markdown)))


@pytest.mark.parametrize("address", ["https://a.test/?b=1", "http://a.test", "mailto:a@b.test", "tel:+49123"])
def test_links_to_pages_and_people_stay_links(address: str) -> None:
    markdown = f"see [label]({address})"
    assert f'<a href="{address}" target="_blank" rel="noopener">label</a>' in to_html(markdown)
    assert f'<a href="{address}">label</a>' in HtmlRenderer().render(markdown)[0]
    assert f"<{address}|label>" in MrkdwnRenderer().render(markdown)[0]
    assert to_markdown(markdown) == markdown
    assert to_markdown("[orders](/orders/7)") == "[orders](/orders/7)"  # a link of the application that embeds the chat
