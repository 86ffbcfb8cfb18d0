"""Markdown as the text of a platform: valid, within the limit and complete."""

import html
import random
import re

import pytest
from peers.telegram import html as telegram_html
from support.channels.renderers import RENDERERS, length

from interfaces.slack.format import MrkdwnRenderer
from interfaces.telegram.format import HtmlRenderer
from interfaces.whatsapp.format import WhatsAppRenderer


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
    assert all(0 < length(name, part) <= limit for part in parts)


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("seed", range(20))
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
    assert all(0 < length(name, part) <= limit for part in parts)
    if name == "telegram":
        parts = [telegram_html.parse(part)[0] for part in parts]
    rendered = "\n".join(parts)
    lost = [word for word in words if not re.search(word, rendered)]
    assert lost == []


@pytest.mark.parametrize("name", RENDERERS)
def test_an_empty_text_has_no_parts(name: str) -> None:
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
def test_a_link_that_does_not_lead_to_a_web_page_is_text(address: str, image: str) -> None:
    markdown = f"{image}[label]({address})"
    shown = f"label ({address.strip('<>')})"
    assert MrkdwnRenderer().render(markdown) == [shown]
    assert HtmlRenderer().render(markdown) == [shown]
    assert WhatsAppRenderer().render(markdown) == [shown]


def test_the_address_or_label_of_a_link_cannot_end_it() -> None:
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
    assert telegram == "<blockquote>outer\ninner\nmore</blockquote>"


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
    assert max(length(name, part) for part in parts) <= limit


@pytest.mark.parametrize("text", ["<&>" * 2000, "&amp;" * 3000, "🎭&" * 4000, "a<b " * 4000], ids=range(4))
def test_no_escape_is_cut_in_two(text: str) -> None:
    markdown = text.replace("&", "\\&").replace("<", "\\<")
    shown = {
        "slack": "".join(map(html.unescape, MrkdwnRenderer().render(markdown))),
        "telegram": "".join(telegram_html.parse(part)[0] for part in HtmlRenderer().render(markdown)),
        "whatsapp": "".join(WhatsAppRenderer().render(markdown)),
    }
    whole = text.replace(" ", "")  # a word that is cut may continue on a new line
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
    """Return lines of markdown: nested blocks that contain hostile words."""
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


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
def test_any_document_is_rendered_valid_and_harmless(seed: int) -> None:
    source = random.Random(seed)
    markdown = "\n".join("\n".join([*random_document(source), ""]) for _ in range(source.randint(1, 8)))
    parts = {name: renderer.render(markdown) for name, (renderer, _) in RENDERERS.items()}
    for name, (_, limit) in RENDERERS.items():
        assert all(0 < length(name, part) <= limit for part in parts[name])
    for part in parts["slack"]:
        assert all(re.match(r"https://|mailto:", control) for control in re.findall(r"<([^>]*)", part))
        without_links = re.sub(r"<[^|>]*\|", "", part)
        assert not re.search(r"&(?!amp;|lt;|gt;)", without_links)
    for part in parts["telegram"]:
        _, entities = telegram_html.parse(part)
        assert all(entity["url"].startswith(("https://", "mailto:")) for entity in entities if "url" in entity)


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("markdown", ["# ", "> ", "[a]: https://a.test", "- ", "# \n\n> \n"])
def test_an_invisible_text_has_no_parts(name: str, markdown: str) -> None:
    assert [part for part in RENDERERS[name][0].render(markdown) if re.search(r"[<>*]", part)] == []


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("wrap", ["{}", "```\n{}\n```", "> {}"], ids=["text", "code", "quote"])
def test_no_step_copies_the_whole_text(name: str, wrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer, limit = RENDERERS[name]
    measured: list[int] = []
    measure = type(renderer).size
    monkeypatch.setattr(type(renderer), "size", lambda self, text: (measured.append(len(text)), measure(self, text))[1])
    text = wrap.format("a" * 90_000 + " " + "b " * 2000)
    assert renderer.render(text)
    assert sum(measured) < 20 * len(text) + 100 * limit
