"""Markdown as Telegram's HTML."""

from support.channels.renderers import EVERYTHING

from interfaces.telegram.format import HtmlRenderer


def test_every_kind_of_markup_is_rendered() -> None:
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
