"""Markdown in the web chat: HTML that the page's own style and scripts complete, and nothing that the model wrote."""

import pytest

from interfaces.web.format import to_html


def test_links_open_in_a_new_tab_that_cannot_reach_the_chat() -> None:
    link = '<a href="https://a.test" target="_blank" rel="noopener">'
    assert link in to_html("see [this](https://a.test)")
    assert link in to_html("see <https://a.test>")


@pytest.mark.parametrize(
    "markdown", ["```html\n<b>&\n```", "    <b>&", "```html\n<b>&"], ids=["fence", "indent", "open"]
)
def test_code_has_a_button_to_copy_it_and_is_scrolled_by_keyboard(markdown: str) -> None:
    html = to_html(markdown)
    assert '<button type="button" class="copy">Copy</button>' in html
    assert '<pre tabindex="0" role="group" aria-label="Code"><code>&lt;b&gt;&amp;' in html
    assert ("<span>html</span>" in html) == markdown.startswith("```")


def test_the_language_of_code_is_text() -> None:
    assert "<span>&quot;&gt;&lt;i&gt;</span>" in to_html('```"><i> x\n```')


def test_a_table_scrolls_by_keyboard_and_its_cells_are_aligned_without_style_attributes() -> None:
    html = to_html("| a | b | c |\n|---|--:|:-:|\n| 1 | 2 | 3 |")
    assert html.startswith('<div class="table" tabindex="0" role="group" aria-label="Table"><table>')
    assert html.endswith("</table>\n</div>\n")
    assert '<td>1</td>\n<td class="right">2</td>\n<td class="center">3</td>' in html
    assert "style=" not in html
