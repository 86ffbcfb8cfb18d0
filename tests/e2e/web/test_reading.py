"""New text in the web chat does not interrupt people who read, be it with their eyes or with a screen reader."""

from collections.abc import AsyncIterator

import pytest
from e2e.web.conftest import Open, Speaker, write
from playwright.sync_api import Page, Route, expect
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from gateway import Agent
from toolkits import Toolkit, tool

LINES = "\n\n".join(f"line {number}" for number in range(60))
PLACE = 120  # pixels from the top

# Record what is added to the log and removed from it, and whether its entries stay the same objects.
WATCH = """() => {
    const log = document.getElementById("log");
    window.kept = [...log.children];
    window.added = [];
    window.others = [];
    new MutationObserver((changes) => changes.forEach((change) => {
        const isAddition = change.target === log && change.removedNodes.length === 0;
        isAddition ? added.push(...change.addedNodes) : others.push(change.target.outerHTML);
    })).observe(log, { childList: true, characterData: true, subtree: true });
}"""
STILL_THERE = """() => {
    const now = [...document.getElementById("log").children];
    return kept.length > 0 && kept.every((entry, place) => entry === now[place]);
}"""


def place(page: Page) -> int:
    return int(page.evaluate("document.getElementById('scroll').scrollTop"))


DISTANCE_TO_END = "(s => Math.round(s.scrollHeight - s.scrollTop - s.clientHeight))(document.getElementById('scroll'))"


def distance_to_end(page: Page) -> int:
    return int(page.evaluate(DISTANCE_TO_END))


def test_a_reader_who_scrolled_up_stays_there_while_text_streams_and_when_it_ends(
    open_window: Open, speaker: Speaker
) -> None:
    with open_window() as page:
        write(page, "hello")
        speaker.say(LINES)
        expect(page.locator(".writing")).to_contain_text("line 59")
        page.evaluate(f"document.getElementById('scroll').scrollTop = {PLACE}")
        for number in range(3):
            speaker.say(f"\n\nmore {number}\n\n{LINES}")
            expect(page.locator(".writing")).to_contain_text(f"more {number}")
            assert place(page) == PLACE
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("more 2")
        expect(page.locator(".writing")).to_have_count(0)
        assert place(page) == PLACE
        latest = page.get_by_role("button", name="Go to the newest message")
        latest.press("Enter")
        expect(latest).to_be_hidden()
        assert distance_to_end(page) <= 1
        page.get_by_label("Your message").fill("one\ntwo\nthree\nfour")  # the field takes place from the messages
        page.wait_for_function("document.getElementById('text').clientHeight > 80")
        page.wait_for_function(f"{DISTANCE_TO_END} <= 1")


MARKDOWN = """\
| train | platform |
|---|--:|
| 9:40 | 7 |

```python
print("<b>")
```

[the timetable](https://trains.test) <img src=x onerror=alert(1)>
"""


def test_markdown_is_shown_while_it_is_written_and_what_is_there_stays(open_window: Open, speaker: Speaker) -> None:
    with open_window() as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        write(page, "hello")
        half = MARKDOWN.index('"<b>')
        speaker.say(MARKDOWN[:half])
        writing = page.locator("#live .writing")
        expect(writing.get_by_role("cell").last).to_have_text("7")
        expect(writing.locator("code")).to_have_text("print(")
        page.evaluate("window.table = document.querySelector('.writing table')")
        speaker.say(MARKDOWN[half:])
        expect(writing.locator("code")).to_have_text('print("<b>")\n')
        expect(writing).to_contain_text("<img src=x onerror=alert(1)>")
        assert page.evaluate("table === document.querySelector('.writing table')")
        link = writing.get_by_role("link", name="the timetable")
        expect(link).to_have_attribute("target", "_blank")
        expect(link).to_have_attribute("rel", "noopener")
        html = writing.inner_html()
        speaker.end()
        answer = page.locator("#log .agent-said")
        expect(answer).to_be_visible()
        assert answer.inner_html() == html
        assert page.locator("img, b").count() == 0
        copy = answer.get_by_role("button", name="Copy")
        copy.press("Enter")
        expect(answer.locator(".copy")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == 'print("<b>")\n'


def test_a_reader_at_the_end_stays_at_the_end(open_window: Open, speaker: Speaker) -> None:
    with open_window() as page:
        write(page, "hello")
        for number in range(3):
            speaker.say(f"\n\nmore {number}\n\n{LINES}")
            expect(page.locator(".writing")).to_contain_text(f"more {number}")
            assert distance_to_end(page) <= 1
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("more 2")
        assert distance_to_end(page) <= 1
        page.evaluate("document.getElementById('scroll').scrollTop = 0")
        write(page, "and then?")  # people want to see what they have just written
        expect(page.locator(".person-said").last).to_have_text("and then?")
        assert distance_to_end(page) <= 1


def test_the_live_region_is_only_added_to_and_gets_an_answer_once_it_is_complete(
    open_window: Open, speaker: Speaker
) -> None:
    with open_window() as page:
        write(page, "one")
        speaker.say("the first answer")
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("the first answer")
        expect(page.get_by_role("status")).to_have_text("connected")
        page.evaluate(WATCH)
        write(page, "two")
        speaker.say("the second ")
        expect(page.locator("#live")).to_contain_text("the second")
        speaker.say("answer")
        expect(page.locator("#live")).to_contain_text("the second answer")
        expect(page.get_by_role("log")).not_to_contain_text("second")
        assert page.evaluate("added.map((entry) => entry.textContent.trim())") == ["You said:two"]
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("the second answer")
        expect(page.get_by_role("status")).to_have_text("connected")
        assert page.evaluate("added.map((entry) => entry.querySelector('.said').textContent.trim())") == [
            "two",
            "the second answer",
        ]
        assert page.evaluate("others") == []
        assert page.evaluate(STILL_THERE)
        assert page.get_by_role("log").get_attribute("aria-busy") == "false"
        assert page.locator("#live").get_attribute("aria-live") == "off"


def test_a_running_turn_is_shown_from_the_first_moment_until_its_end(open_window: Open, speaker: Speaker) -> None:
    with open_window() as page:
        write(page, "hello")
        assert page.locator(".writing").count() == 1  # before the server has said anything
        expect(page.get_by_role("status")).to_have_text("answering…")
        page.reload()
        expect(page.get_by_role("status")).to_have_text("answering…")
        expect(page.locator(".writing")).to_have_count(1)
        assert page.evaluate("document.getAnimations().length") > 0
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate("document.getAnimations().length") == 0
        speaker.say("done")
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("done")
        expect(page.get_by_role("status")).to_have_text("connected")
        expect(page.locator("#live > *")).to_have_count(0)


class Desk(Toolkit):
    @tool
    def look(self) -> str:
        """Look into the drawer."""
        return "a pen"


def test_a_tool_that_has_ended_is_not_shown_as_running(open_window: Open, speaker: Speaker) -> None:
    async def look_first(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if not any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            yield {0: DeltaToolCall("look", "{}", tool_call_id="1")}
            return
        async for words in speaker.stream(messages, info):
            yield words

    with open_window(Agent(model=FunctionModel(stream_function=look_first), toolkits=[Desk()])) as page:
        write(page, "what is there?")
        expect(page.locator(".tool")).to_have_text("✓ Look")
        expect(page.locator(".tool + .writing:empty")).to_have_count(1)  # the model thinks about it
        speaker.end()


def test_a_code_of_the_sign_in_page_is_shown_after_what_was_said_before(open_window: Open, speaker: Speaker) -> None:
    with open_window() as page:
        write(page, "hello")
        speaker.say("good morning")
        speaker.end()
        expect(page.locator("#log .agent-said")).to_have_text("good morning")
        second, held = page.context.new_page(), list[Route]()
        second.route("**/messages", lambda route: held.append(route))  # the transcript comes first
        second.goto(f"{page.url}#confirm=12345678")
        expect(second.locator("#log .message")).to_have_text(["hello", "good morning", "Confirm 1234 5678"])
        held[0].continue_()
        speaker.say("which code?")
        speaker.end()
        said = ["hello", "good morning", "Confirm 1234 5678", "which code?"]
        expect(second.locator("#log .message")).to_have_text(said)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_thumb_is_pressed_by_keyboard_keeps_the_focus_and_is_there_after_a_reload(
    open_window: Open, speaker: Speaker, key: str
) -> None:
    with open_window() as page:
        write(page, "hello")
        speaker.say("here it is")
        speaker.end()
        good, bad = page.get_by_role("button", name="Good answer"), page.get_by_role("button", name="Bad answer")
        good.focus()
        good.press(key)
        expect(good).to_have_attribute("aria-pressed", "true")
        expect(good).to_be_focused()
        bad.press(key)
        expect(good).to_have_attribute("aria-pressed", "false")
        page.reload()
        expect(bad).to_have_attribute("aria-pressed", "true")
        bad.press(key)
        expect(bad).to_have_attribute("aria-pressed", "false")


# End the updates of the page as a server does that has been restarted, and refuses the old cookie.
REFUSE = "() => { updates.close(); updates.dispatchEvent(new Event('error')); }"
KEEP_UPDATES = """window.EventSource = class extends EventSource {
    constructor(...options) {
        super(...options);
        window.updates = this;
    }
}"""


def test_after_a_new_connection_the_preview_begins_anew_with_the_whole_text(
    open_window: Open, speaker: Speaker
) -> None:
    with open_window() as page:
        page.add_init_script(KEEP_UPDATES)
        page.reload()
        write(page, "tell me everything")
        speaker.say("half an ans")
        expect(page.locator("#live")).to_contain_text("half an ans")
        page.evaluate(REFUSE)
        expect(page.get_by_role("status")).to_have_text("connecting…")
        expect(page.get_by_role("status")).to_have_text("answering…")
        speaker.say("wer")
        expect(page.locator("#live")).to_have_text("half an answer")
