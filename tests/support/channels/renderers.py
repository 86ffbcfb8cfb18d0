"""The renderers of the channels, with the limits of their platforms, and a text with every kind of markup."""

from collections.abc import Callable

from interfaces.chatkit.format import to_markdown
from interfaces.markdown import Renderer
from interfaces.slack.format import MrkdwnRenderer
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


PLAIN: dict[str, Callable[[str], list[str]]] = {
    **{name: renderer.render for name, (renderer, _) in RENDERERS.items()},
    "web": lambda markdown: [to_html(markdown)],
    "chatkit": lambda markdown: [to_markdown(markdown)],
}
