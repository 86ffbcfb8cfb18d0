"""People stop a running turn in the web chat."""

import pytest
from e2e.web.conftest import Open, Speaker, write
from playwright.sync_api import expect


@pytest.mark.parametrize("how", ["click", "Escape", "keyboard"])
def test_a_person_stops_the_answer_and_the_text_so_far_stays(open_window: Open, speaker: Speaker, how: str) -> None:
    with open_window() as page:
        stop = page.get_by_role("button", name="Stop")
        expect(stop).to_be_hidden()
        write(page, "tell me everything")
        speaker.say("in the beginning")
        expect(page.locator("#live")).to_contain_text("in the beginning")
        expect(stop).to_be_visible()
        if how == "click":
            stop.click()
        elif how == "Escape":
            page.keyboard.press("Escape")
        else:
            stop.focus()
            stop.press("Enter")
        expect(page.get_by_role("log")).to_contain_text("in the beginning")
        expect(page.get_by_role("status")).to_have_text("connected")
        expect(page.locator("#live > *")).to_have_count(0)
        expect(stop).to_be_hidden()
        expect(page.get_by_label("Your message")).to_be_focused()
        speaker.end()  # taken by the thread of the stopped turn, which still waits for words
        write(page, "and now briefly")
        speaker.say("a new answer")
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("a new answer")


def test_escape_does_nothing_while_nothing_runs(open_window: Open, speaker: Speaker) -> None:
    with open_window() as page:
        stopped: list[str] = []
        page.on("request", lambda request: stopped.append(request.url) if request.url.endswith("/stop") else None)
        page.keyboard.press("Escape")
        write(page, "hello")
        speaker.say("done")
        speaker.end()
        expect(page.get_by_role("log")).to_contain_text("done")
        expect(page.get_by_role("status")).to_have_text("connected")
        page.keyboard.press("Escape")
        assert stopped == []
