"""Markdown as people see it in each channel."""

import html

import pytest
from peers.telegram import html as telegram_html
from support.channels.renderers import PLAIN, RENDERERS, length

from interfaces.slack.format import MrkdwnRenderer
from interfaces.telegram.format import HtmlRenderer, plain
from interfaces.web.format import to_html
from interfaces.whatsapp.format import WhatsAppRenderer

JOINED = "\u200b"  # stands beside a mark inside a word


def shown(markdown: str) -> tuple[str, str, str]:
    """Return the texts that Slack, Telegram and WhatsApp get for a text that fits into one part."""
    [slack], [telegram], [whatsapp] = (
        renderer.render(markdown) for renderer in (MrkdwnRenderer(), HtmlRenderer(), WhatsAppRenderer())
    )
    telegram_html.parse(telegram)
    return slack, telegram, whatsapp


@pytest.mark.parametrize(
    ("markdown", "marks", "telegram"),
    [
        ("## Total **due** now", "*Total due now*", "<b>Total due now</b>"),
        ("**a __b__ c**", "*a b c*", "<b>a b c</b>"),
        ("**a *b* c**", "*a _b_ c*", "<b>a <i>b</i> c</b>"),
        ("***all***", "*_all_*", "<b><i>all</i></b>"),
        ("**bold `code` bold**", "*bold* `code` *bold*", "<b>bold </b><code>code</code><b> bold</b>"),
        ("**one\ntwo**", "*one*\n*two*", "<b>one</b>\n<b>two</b>"),
        ("**2\\*3** and **~/x**", "2*3 and *~/x*", "<b>2*3</b> and <b>~/x</b>"),
        ("# a [b](https://a.test) c", None, '<b>a <a href="https://a.test">b</a> c</b>'),
    ],
)
def test_nested_formats_are_merged(markdown: str, marks: str | None, telegram: str) -> None:
    slack, html_text, whatsapp = shown(markdown)
    assert html_text == telegram
    if marks is not None:
        assert (slack, whatsapp) == (marks, marks)


def test_a_format_inside_a_word_shows_no_marks() -> None:
    slack, telegram, whatsapp = shown("un**believ**able, `a`s and (**b**)")
    assert slack == f"un{JOINED}*believ*{JOINED}able, `a`{JOINED}s and (*b*)"
    assert telegram == "un<b>believ</b>able, <code>a</code>s and (<b>b</b>)"
    assert whatsapp == "unbelievable, as and (*b*)"


@pytest.mark.parametrize(
    ("markdown", "bold"),
    [
        ("**重要。**これは", "重要。"),
        ("これは**重要**です", "重要"),
        ("これは**「重要」**です", "「重要」"),
        ("**이 용어(This term)**를 강조", "이 용어(This term)"),
        ("请看**《手册》**第三章", "《手册》"),
    ],
)
def test_text_without_spaces_has_bold_words(markdown: str, bold: str) -> None:
    before, _, after = markdown.partition(f"**{bold}**")
    slack, telegram, whatsapp = shown(markdown)
    assert telegram == f"{before}<b>{bold}</b>{after}"
    assert slack.replace(JOINED, "") == f"{before}*{bold}*{after}"
    assert slack.count(JOINED) == bool(before) + bool(after)
    assert whatsapp == f"{before}{bold}{after}"
    assert to_html(markdown) == f"<p>{before}<strong>{bold}</strong>{after}</p>\n"


def test_struck_text_without_spaces_is_rendered_as_struck() -> None:
    assert HtmlRenderer().render("~~廃止。~~新しい") == ["<s>廃止。</s>新しい"]


@pytest.mark.parametrize("markdown", ["2 ** 3 * 4", "a_b_c", "* not bold*", "snake_変数_case", "** a **"])
def test_text_that_only_looks_like_a_format_stays_text(markdown: str) -> None:
    assert "<b>" not in (text := "".join(HtmlRenderer().render(markdown)))
    assert "<i>" not in text


NARROW = "| Item | Price |\n|---|---|\n| 林檎 | 1 € |\n| pear | 22 € |"
WIDE = "| Order | What it is about | Total |\n|-|-|-|\n| 4711 | a **new** blue bicycle, used | 300 |\n| 4712 | | 22 |"


def test_a_narrow_table_is_aligned_and_a_list_in_whatsapp() -> None:
    aligned = "Item | Price\n-----+------\n林檎 | 1 €\npear | 22 €"
    listed = "• *Item:* 林檎\n    *Price:* 1 €\n• *Item:* pear\n    *Price:* 22 €"
    assert shown(NARROW) == (f"```\n{aligned}\n```", f"<pre>{aligned}</pre>", listed)


def test_a_table_that_is_wider_than_a_phone_is_a_list_of_its_rows() -> None:
    slack, telegram, whatsapp = shown(WIDE)
    assert slack == whatsapp
    assert slack == (
        "• *Order:* 4711\n    *What it is about:* a *new* blue bicycle, used\n    *Total:* 300\n"
        "• *Order:* 4712\n    *Total:* 22"
    )
    assert telegram.startswith("• <b>Order:</b> 4711\n    <b>What it is about:</b> a <b>new</b> blue bicycle, used")


def test_links_in_tables_stay_links() -> None:
    slack, telegram, whatsapp = shown("| a | b |\n|-|-|\n| 1 | [x](https://a.test) |")
    assert slack == "• *a:* 1\n    *b:* <https://a.test|x>"
    assert telegram == '• <b>a:</b> 1\n    <b>b:</b> <a href="https://a.test">x</a>'
    assert whatsapp == "• *a:* 1\n    *b:* x (https://a.test)"
    slack, *_ = shown("| a | [b](https://a.test) |\n|-|-|\n| 1 | 2 |")
    assert slack == "• a | <https://a.test|b>\n• 1 | 2"


@pytest.mark.parametrize("name", RENDERERS)
def test_no_row_of_a_table_is_divided_between_parts(name: str) -> None:
    rows = "".join(f"| begin{number} | {'some words ' * 8} | end{number} |\n" for number in range(200))
    parts = RENDERERS[name][0].render(f"| one | a longer header | three |\n|-|-|-|\n{rows}")
    assert len(parts) > 3
    for part in parts:
        assert part.count("begin") == part.count("end")


def test_code_with_backticks_does_not_end_its_block() -> None:
    slack, telegram, whatsapp = shown("````\na ``` b\n````")
    assert telegram == "<pre>a ``` b</pre>"
    assert slack.count("```") == whatsapp.count("```") == 2
    assert slack.replace(JOINED, "") == "```\na ``` b\n```"
    slack, _, whatsapp = shown("a \\`\\`\\` b\n\n```\nc\n```")
    assert slack.count("```") == whatsapp.count("```") == 2
    slack, telegram, whatsapp = shown("``a`b`` and `c`")
    assert (slack, whatsapp) == ("a`b and `c`", "a`b and `c`")
    assert telegram == "<code>a`b</code> and <code>c</code>"
    assert WhatsAppRenderer().render("```\n`x`\n```") == ["```\n`x`\n```"]


@pytest.mark.parametrize("name", ["slack", "whatsapp", "telegram"])
def test_the_checkboxes_of_tasks_are_shown(name: str) -> None:
    parts = RENDERERS[name][0].render("- [ ] to do\n- [x] done\n- [link](https://a.test)\n\n1. [X] first")
    assert parts[0].startswith("☐ to do\n☑ done\n• ")
    assert parts[0].endswith("\n\n1. ☑ first")
    assert "<li>☐ to do</li>\n<li>☑ done</li>" in to_html("- [ ] to do\n- [x] done")


@pytest.mark.parametrize("name", ["slack", "whatsapp", "telegram"])
def test_footnotes_are_numbers_and_never_links(name: str) -> None:
    markdown = "It is so[^1], or not[^note].\n\n[^1]: https://a.test\n[^note]: A longer remark."
    parts = RENDERERS[name][0].render(markdown)
    assert parts == ["It is so[1], or not[note].\n\n[1]: https://a.test\n[note]: A longer remark."]


def test_chatkit_checks_the_link_of_a_label_that_looks_like_a_footnote() -> None:
    markdown = "a[^1]\n\n[^1]: javascript:alert(1)"
    [sent] = PLAIN["chatkit"](markdown)
    assert sent != markdown


def test_a_quote_is_one_block_with_its_whole_content() -> None:
    slack, telegram, _ = shown("> a **b\n> c**\n>\n> - d\n>   > e\n\nafter\n\n> f")
    assert slack == "> a *b*\n> *c*\n> • d\n>     e\n\nafter\n\n> f"
    assert telegram == (
        "<blockquote>a <b>b</b>\n<b>c</b>\n• d\n    e</blockquote>\n\nafter\n\n<blockquote>f</blockquote>"
    )


def test_a_quote_in_a_list_begins_its_line() -> None:
    slack, telegram, _ = shown("- a\n  > b")
    assert slack == "• a\n>     b"
    assert telegram == "• a\n<blockquote>    b</blockquote>"


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize(
    "markdown",
    ["**" + "bold words " * 1500 + "end**", "> " + "quoted words " * 1500, "```\n" + "x = 1\n" * 2500 + "```",
     "**" + "[a link](https://a.test) " * 400 + "end**"],
    ids=["bold", "quote", "code", "links"],
)  # fmt: skip
def test_a_format_continues_in_each_part(name: str, markdown: str) -> None:
    parts = RENDERERS[name][0].render(markdown)
    assert len(parts) > 1
    kind = {"**b": "bold", "> q": "blockquote", "```": "pre", "**[": "text_link"}[markdown[:3]]
    for part in parts:
        if name == "telegram":
            assert kind in {entity["type"] for entity in telegram_html.parse(part)[1]}
        elif kind == "text_link":
            assert part.count("https://a.test") == part.count("a link") > 0
        else:
            mark = {"bold": "*", "blockquote": "> ", "pre": "```"}[kind]
            assert part.startswith(mark)
            assert part.endswith(mark) == (kind != "blockquote")


@pytest.mark.parametrize("name", RENDERERS)
def test_a_list_of_thousands_of_items_is_a_list(name: str) -> None:
    parts = RENDERERS[name][0].render("".join(f"- item {number}\n" for number in range(1200)))
    items = "\n".join(parts).split("\n")
    assert items == [f"• item {number}" for number in range(1200)]


def test_telegrams_limit_counts_only_visible_text() -> None:
    """Render a text with escapes and tags, which do not count: https://core.telegram.org/bots/api#sendmessage"""
    [part] = HtmlRenderer().render("<" * 3800)
    assert part == "&lt;" * 3800
    first, second = HtmlRenderer().render("🎭" * 1000 + " " + "🎭" * 1500)
    assert max(length("telegram", first), length("telegram", second)) <= 4096


def test_the_plain_form_of_telegrams_html_has_the_visible_text_and_the_addresses() -> None:
    [part] = HtmlRenderer().render("# a **b** <c> & `d`\n\n> [e](https://a.test/?x=1&y=2)\n\n```py\n1 < 2\n```")
    assert plain(part) == "a b <c> & d\n\ne (https://a.test/?x=1&y=2)\n\n1 < 2"
    assert html.unescape(plain(part)) == plain(part)


@pytest.mark.parametrize("name", RENDERERS)
def test_a_long_paragraph_has_no_line_break_inside_a_part(name: str) -> None:
    parts = RENDERERS[name][0].render("**bold** and *slanted* words, " * 400)
    assert len(parts) > 1
    assert not any("\n" in part for part in parts)
