"""People answer questions in the web chat by keyboard, and the focus is not lost."""

import pytest
from e2e.web.conftest import Open, write
from e2e.web.test_reading import STILL_THERE, WATCH
from playwright.sync_api import Page, expect
from pydantic_ai.models.function import FunctionModel
from support.stage import CANCEL, Orders, obey

from gateway import Agent

POST = "(text) => fetch('messages', {method: 'POST', body: JSON.stringify({id: crypto.randomUUID(), text})})"


def asked(page: Page) -> None:
    """Have the agent ask whether it may cancel an order."""
    write(page, CANCEL)
    expect(page.get_by_role("group", name="Choices").get_by_role("button")).to_have_count(2)


@pytest.mark.parametrize("key", ["Enter", "Space"])
@pytest.mark.parametrize(("choice", "cancelled"), [("Approve", ["4711"]), ("Decline", [])])
def test_a_question_is_answered_by_keyboard_and_the_focus_stays_with_it(
    open_window: Open, choice: str, cancelled: list[str], key: str
) -> None:
    orders = Orders()
    with open_window(Agent(model=FunctionModel(obey), toolkits=[orders])) as page:
        asked(page)
        page.get_by_label("Your message").focus()
        page.keyboard.press("Shift+Tab")  # back from the field into the messages
        for _ in range(5):
            if page.evaluate("document.activeElement.textContent") == choice:
                break
            page.keyboard.press("Shift+Tab")
        expect(page.get_by_role("button", name=choice)).to_be_focused()
        page.evaluate(WATCH)
        page.keyboard.press(key)
        decided = page.locator(".decided")
        expect(decided).to_be_visible()
        expect(decided).to_be_focused()
        expect(page.get_by_role("group", name="Choices").get_by_role("button")).to_have_count(0)
        expect(page.locator("#log .agent-said")).to_have_count(2)  # outside the log, an answer is being written
        assert page.evaluate(STILL_THERE)
        assert orders.cancelled == cancelled


def test_a_new_message_takes_no_focus_from_a_button(open_window: Open) -> None:
    with open_window(Agent(model=FunctionModel(obey), toolkits=[Orders()])) as page:
        asked(page)
        approve = page.get_by_role("button", name="Approve")
        approve.focus()
        page.evaluate(POST, "/help")
        expect(page.locator(".agent-said")).to_have_count(2)
        expect(approve).to_be_focused()
        page.reload()
        expect(page.get_by_role("button", name="Approve")).to_be_visible()


def test_a_question_that_was_decided_elsewhere_says_so(open_window: Open) -> None:
    orders = Orders()
    with open_window(Agent(model=FunctionModel(obey), toolkits=[orders])) as page:
        asked(page)
        other = page.context.new_page()
        other.goto(page.url)
        other.get_by_role("button", name="Decline").click()
        expect(page.locator(".decided")).to_contain_text("eclined")
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        assert orders.cancelled == []
