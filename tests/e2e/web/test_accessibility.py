"""axe-core finds nothing in the pages of the web chat: https://github.com/dequelabs/axe-core/blob/develop/doc/API.md"""

from typing import Any

import pytest
from e2e.web.conftest import Open, write
from peers import node
from playwright.sync_api import Page, expect
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.stage import CANCEL, Orders, obey, texts_told

from gateway import Agent

WIDTHS = {"phone": 390, "desktop": 1280}  # pixels
HEIGHT = 2400  # pixels, as axe cannot tell the contrast of what has to be scrolled into view
AXE = "axe.run({resultTypes: ['violations', 'incomplete']}).then((found) => [...found.violations, ...found.incomplete])"
RICH = """\
# A plan

See [the timetable](https://trains.test), and _then_ `go`:

1. pack
2. leave

```python
print("a line of code that is much longer than the screen of a phone, so that it has to scroll")
```

| train | from | to | departure | platform | seats |
|---|---|---|--:|:-:|---|
| ICE 123 | Königswusterhausen | Garmisch-Partenkirchen | 9:40 | 7 | second class, at the window |

> Be there early.
"""


async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    said = texts_told(messages)[-1]
    if said == "fail":
        raise AssertionError(said)  # is not tried again
    return ModelResponse([TextPart(RICH)]) if said == "plan" else await obey(messages, info)


def found(page: Page) -> dict[tuple[str, str], Any]:
    """Return the findings in each colour scheme and size. A page that has to be scrolled sideways is one."""
    findings = {}
    for scheme in ("light", "dark"):
        for size, width in WIDTHS.items():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": HEIGHT})
            findings[scheme, size] = [
                (each["id"], [node["html"] for node in each["nodes"]]) for each in page.evaluate(AXE)
            ]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                findings[scheme, size].append(("too-wide", []))
    return {place: each for place, each in findings.items() if each}


@pytest.mark.long
def test_axe_finds_nothing(open_window: Open) -> None:
    try:
        axe = node.script("axe-core/axe.min.js")
    except node.UnavailableError as reason:
        pytest.skip(f"axe-core cannot be had: {reason}")
    agent = Agent(model=FunctionModel(respond), toolkits=[Orders()], prompts=["plan"], description="I plan.")
    with open_window(agent) as page:
        page.context.add_init_script(path=axe)
        chat = page.url
        page.goto(chat.partition("/web/")[0])
        assert found(page) == {}, "on the index page"
        page.goto(chat)
        expect(page.get_by_role("heading", name="Hello, Alice")).to_be_visible()
        assert found(page) == {}, "in an empty chat"
        page.get_by_role("button", name="plan").click()
        expect(page.get_by_role("log").get_by_role("table")).to_be_visible()
        write(page, "fail")
        expect(page.locator(".failed")).to_contain_text("something went wrong")
        write(page, CANCEL)
        expect(page.get_by_role("button", name="Approve")).to_be_visible()
        page.route("**/messages", lambda route: route.abort())
        write(page, "hello")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        page.locator("#files").set_input_files({"name": "note.txt", "mimeType": "text/plain", "buffer": b"hello"})
        expect(page.get_by_role("button", name="Remove note.txt")).to_be_visible()
        assert found(page) == {}, "in a chat with code, a table, a question and failures"
