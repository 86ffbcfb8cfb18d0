"""What the channels make of markdown: valid, within the limit, complete."""

import html
import random
import re
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import pytest
from markdown_it import MarkdownIt
from peers import telegram_html

from interfaces import markdown as markdown_module
from interfaces.chatkit.format import to_markdown
from interfaces.markdown import Renderer
from interfaces.slack.format import MrkdwnRenderer, without_mention
from interfaces.telegram.format import HtmlRenderer
from interfaces.web.format import to_html
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
    assert lost == []


@pytest.mark.parametrize("name", RENDERERS)
def test_nothing_comes_of_nothing(name: str) -> None:
    assert RENDERERS[name][0].render(" \n\n ") == []


HOSTILE_ADDRESSES = [
    "!channel",
    "!here",
    "<!everyone>",
    "@U0BOBBY01",
    "#C0GENERAL",
    "tg://user?id=1002",
    "ftp://a.test",
]


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
@pytest.mark.parametrize("image", ["", "!"], ids=["link", "image"])
def test_a_link_that_leads_to_no_web_page_is_text(address: str, image: str) -> None:
    markdown = f"{image}[label]({address})"
    shown = f"label ({address.strip('<>')})"
    assert MrkdwnRenderer().render(markdown) == [shown]
    assert HtmlRenderer().render(markdown) == [shown]
    assert WhatsAppRenderer().render(markdown) == [shown]


def test_a_link_cannot_be_left_by_what_stands_in_its_address_or_label() -> None:
    markdown = r'[<b> & "x"](<https://a.test/?x=1&y="\>\<!channel\>|z>)'
    [slack] = MrkdwnRenderer().render(markdown)
    assert re.findall(r"<([^>]*)>", slack) == ['https://a.test/?x=1&y=%22%3E%3C!channel%3E%7Cz|&lt;b&gt; &amp; "x"']
    [html] = HtmlRenderer().render(markdown)
    text, [entity] = telegram_html.parse(html)
    assert text == '<b> & "x"'
    assert entity["url"] == "https://a.test/?x=1&y=%22%3E%3C!channel%3E%7Cz"


def test_a_link_without_a_label_shows_its_address() -> None:
    assert HtmlRenderer().render("[](https://a.test)") == ['<a href="https://a.test">https://a.test</a>']
    assert WhatsAppRenderer().render("[](https://a.test)") == ["https://a.test"]


def test_a_quote_in_a_quote_is_one_quote() -> None:
    markdown = "> outer\n>\n> > inner\n> > more"
    assert MrkdwnRenderer().render(markdown) == ["> outer\n> inner\n> more"]
    [telegram] = HtmlRenderer().render(markdown)
    assert telegram == "<blockquote>outer</blockquote>\n<blockquote>inner\nmore</blockquote>"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize(
    "markdown",
    ["\n".join(["> a"] * 4000), ">" * 15 + " " + "word " * 3000, "\n".join([">" * 8 + " a"] * 3000),
     "> ```\n" + "> x\n" * 3000 + "> ```", "> " + "**" + "a\n> " * 2000 + "b**", "> - " + "x\n> - " * 3000 + "y",
     "- > - " + "word " * 3000, "- a\n\n  ```\n" + "  x\n" * 4000 + "  ```", "```" + "l" * 9000 + "\ncode\n" * 900,
     "```" + "&" * 1000 + "\n" + "<" * 9000 + "\n```", "[x](https://a.test/" + "a" * 9000 + ")",
     "| " + "a" * 6000 + " | b |\n|---|---|\n| c | d |", "**" + "[a](https://a.test) " * 500 + "**",
     "\\\n".join(["a"] * 5000), "\n".join("  " * depth + "- " + "word " * 500 for depth in range(9))],
    ids=range(15),
)  # fmt: skip
def test_quotes_and_lists_and_odd_fences_keep_the_limit(name: str, markdown: str) -> None:
    renderer, limit = RENDERERS[name]
    parts = renderer.render(markdown)
    assert parts
    assert max(map(units, parts)) <= limit
    if name == "telegram":
        for part in parts:
            telegram_html.parse(part)


@pytest.mark.parametrize("text", ["<&>" * 5000, "&amp;" * 3000, "🎭&" * 4000, "a<b " * 4000], ids=range(4))
def test_no_escape_is_cut_in_two(text: str) -> None:
    markdown = text.replace("&", "\\&").replace("<", "\\<")
    shown = {
        "slack": "".join(map(html.unescape, MrkdwnRenderer().render(markdown))),
        "telegram": "".join(telegram_html.parse(part)[0] for part in HtmlRenderer().render(markdown)),
        "whatsapp": "".join(WhatsAppRenderer().render(markdown)),
    }
    whole = text.replace(" ", "")  # a word that is cut may go on in a new line
    assert {name: re.sub(r"\s", "", seen) for name, seen in shown.items()} == dict.fromkeys(RENDERERS, whole)


@pytest.mark.parametrize("name", RENDERERS)
def test_each_part_of_long_code_is_code_and_no_line_is_lost(name: str) -> None:
    lines = [f"line {number} < {number + 1} && 🎭" for number in range(800)]
    renderer, _ = RENDERERS[name]
    parts = renderer.render("before\n\n```python\n" + "\n".join(lines) + "\n```\n\nafter")
    assert (parts[0].startswith("before"), parts[-1].endswith("after")) == (True, True)
    code: list[str] = []
    for part in parts:
        if name == "telegram":
            text, entities = telegram_html.parse(part)
            coded = text.encode("utf-16-le")
            for entity in entities:
                assert (entity["type"], entity["language"]) == ("pre", "python")
                start, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
                code += coded[start:end].decode("utf-16-le").split("\n")
        else:
            assert part.count("```") % 2 == 0
            for block in part.split("```")[1::2]:
                code += (html.unescape(block) if name == "slack" else block).strip("\n").split("\n")
    assert code == lines


WORDS = [
    "<!channel>",
    "<script>",
    "</b>",
    "&lt;",
    "a&b",
    "*x",
    "_y_",
    "`z",
    "[",
    "](!here)",
    "🎭",
    "@U1",
    "\\",
    "|",
    "~~",
]


def random_document(source: random.Random, depth: int = 0) -> list[str]:
    """Lines of markdown: blocks in blocks, with hostile words in them."""
    words = " ".join(source.choice([*WORDS, "word", "more"]) for _ in range(source.randint(1, 120)))
    inner = random_document(source, depth + 1) if depth < 4 else [words]
    match source.choice(["text", "bold", "quote", "list", "numbers", "code", "table", "link", "heading", "two"]):
        case "bold":
            return [f"**{words}** _{words}_ ~~{words}~~"]
        case "quote":
            return [f"> {line}" for line in inner]
        case "list":
            return [("- " if number == 0 else "  ") + line for number, line in enumerate(inner)]
        case "numbers":
            return [("7. " if number == 0 else "   ") + line for number, line in enumerate(inner)]
        case "code":
            return [f"```{source.choice(['', 'python', words])}", *inner, "```"]
        case "table":
            return ["| a | b |", "|---|---|", *(f"| {words} | {number} |" for number in range(source.randint(0, 30)))]
        case "link":
            return [f"[{words}]({source.choice(['https://a.test/?a=1&b=2', '!channel', '@U1', 'mailto:a@b.test'])})"]
        case "heading":
            return [f"# {words}"]
        case "two":
            return [*inner, "", *random_document(source, depth + 1 if depth < 4 else 4), "", words]
        case _:
            return [words]


@pytest.mark.parametrize("seed", range(150))
def test_any_document_comes_out_valid_and_harmless(seed: int) -> None:
    source = random.Random(seed)
    markdown = "\n".join("\n".join([*random_document(source), ""]) for _ in range(source.randint(1, 8)))
    parts = {name: renderer.render(markdown) for name, (renderer, _) in RENDERERS.items()}
    for name, (_, limit) in RENDERERS.items():
        assert all(0 < units(part) <= limit for part in parts[name])
    for part in parts["slack"]:
        assert all(re.match(r"https://|mailto:", control) for control in re.findall(r"<([^>]*)", part))
        without_links = re.sub(r"<[^|>]*\|", "", part)
        assert not re.search(r"&(?!amp;|lt;|gt;)", without_links)
    for part in parts["telegram"]:
        _, entities = telegram_html.parse(part)
        assert all(entity["url"].startswith(("https://", "mailto:")) for entity in entities if "url" in entity)


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("markdown", ["# ", "> ", "[a]: https://a.test", "- ", "# \n\n> \n"])
def test_what_cannot_be_seen_is_no_part(name: str, markdown: str) -> None:
    assert [part for part in RENDERERS[name][0].render(markdown) if re.search(r"[<>*]", part)] == []


PLAIN: dict[str, Callable[[str], list[str]]] = {
    **{name: renderer.render for name, (renderer, _) in RENDERERS.items()},
    "web": lambda markdown: [to_html(markdown)],
    "chatkit": lambda markdown: [to_markdown(markdown)],
}

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
    "backticks": lambda n: "`" * n,
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
    "lone surrogates": lambda n: "a\ud800 \udc00" * n,
    "nul": lambda n: "a\0 " * n,
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("count", [300, 4000])
def test_whatever_is_written_comes_out_whole_and_within_the_limit(name: str, kind: str, count: int) -> None:
    markdown = HOSTILE[kind](count)
    parts = PLAIN[name](markdown)
    assert parts
    assert "".join(parts).encode()  # no platform takes a lone surrogate
    if name in RENDERERS:
        assert max(map(units, parts)) <= RENDERERS[name][1]
        # Neither padding nor filled-up cells make many messages of a few characters.
        assert sum(map(units, parts)) < 8 * len(markdown) + 150_000
    if name == "telegram":
        for part in parts:
            telegram_html.parse(part)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_work_grows_with_the_text_and_not_with_its_square(name: str, kind: str) -> None:
    """Four times the text takes four times the lines of Python, not sixteen."""

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

    assert lines(800) < 8 * lines(200) + 20_000


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("wrap", ["{}", "```\n{}\n```", "> {}"], ids=["text", "code", "quote"])
def test_no_step_copies_the_whole_text(name: str, wrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer, limit = RENDERERS[name]
    measured: list[int] = []
    measure = markdown_module._size
    monkeypatch.setattr(markdown_module, "_size", lambda text: (measured.append(len(text)), measure(text))[1])
    text = wrap.format("a" * 90_000 + " " + "b " * 2000)
    assert renderer.render(text)
    assert sum(measured) < 20 * len(text) + 100 * limit


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_too_complex_is_plain_text_and_escaped(name: str, caplog: pytest.LogCaptureFixture) -> None:
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
    assert f'<a href="{address}">label</a>' in to_html(markdown)
    assert f'<a href="{address}">label</a>' in HtmlRenderer().render(markdown)[0]
    assert f"<{address}|label>" in MrkdwnRenderer().render(markdown)[0]
    assert to_markdown(markdown) == markdown
    assert to_markdown("[orders](/orders/7)") == "[orders](/orders/7)"  # of the application that embeds the chat


def test_many_mentions_in_a_message_take_a_moment() -> None:
    """Each of them may begin a mention that is never closed."""

    def steps(count: int) -> float:
        text = "<@U1|" * count
        times = []
        for _ in range(3):
            began = time.process_time()
            assert without_mention(text, "U1") == text
            times.append(time.process_time() - began)
        return min(times)

    assert steps(40_000) < 10 * steps(10_000) + 0.05
