"""People write messages in the web chat: the field, the files, and what happens to a message that was not sent."""

import pytest
from e2e.web.conftest import Open, Speaker, write
from playwright.sync_api import Route, expect
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.stage import texts_told

from gateway import Agent

NOTE = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"remember the milk"}


def test_a_message_that_was_not_sent_says_so_and_is_sent_again(open_window: Open, speaker: Speaker) -> None:
    with open_window() as page:
        lost: list[Route] = []
        page.route("**/messages", lambda route: route.abort(), times=1)
        page.get_by_label("Attach files").set_input_files(NOTE)
        write(page, "hello")
        expect(page.get_by_role("alert")).to_contain_text("This message was not sent.")
        expect(page.locator(".failed .person-said")).to_have_text("hello\nnote.txt")
        expect(page.locator("#live > *")).to_have_count(0)
        page.get_by_role("button", name="Try again").press("Enter")
        expect(page.get_by_label("Your message")).to_be_focused()
        expect(page.locator(".person-said")).to_have_text("hello\ndocument 'note.txt'")
        expect(page.locator(".failed")).to_have_count(0)
        speaker.say("good morning")
        speaker.end()
        expect(page.locator("#log .agent-said")).to_have_text("good morning")

        def lose_response(route: Route) -> None:
            route.fetch()
            lost.append(route)
            route.abort()

        page.route("**/messages", lose_response, times=1)
        write(page, "and then?")  # the server takes it, but the page does not learn that
        speaker.say("the end")
        speaker.end()
        expect(page.locator("#log .agent-said").last).to_have_text("the end")
        assert lost
        expect(page.locator(".failed, .failure")).to_have_count(0)
        expect(page.locator(".person-said")).to_have_count(2)


def test_a_message_that_could_not_be_answered_is_sent_again(open_window: Open) -> None:
    tries: list[str] = []

    async def fail_once(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        tries.append(texts_told(messages)[-1])
        if len(tries) == 1:
            raise AssertionError("a mistake")
        return ModelResponse([TextPart("good morning")])

    with open_window(Agent(model=FunctionModel(fail_once))) as page:
        write(page, "hello")
        expect(page.locator(".failed")).to_contain_text("something went wrong")
        page.get_by_role("button", name="Try again").press("Enter")
        expect(page.locator("#log .agent-said").last).to_have_text("good morning")
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)
        assert tries == ["hello", "hello"]


def test_a_file_that_was_not_uploaded_goes_back_to_the_field_with_the_text(
    open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_MAX_ATTACHMENT_MB", "0.001")
    with open_window() as page:
        page.get_by_label("Attach files").set_input_files({**NOTE, "buffer": bytes(2000)})
        write(page, "look")
        expect(page.get_by_role("alert")).to_contain_text("note.txt is too large.")
        page.get_by_role("button", name="Edit").press("Enter")
        field = page.get_by_label("Your message")
        expect(field).to_be_focused()
        expect(field).to_have_value("look")
        expect(page.locator("#log > *")).to_have_count(0)
        page.get_by_role("button", name="Remove note.txt").press("Enter")
        expect(page.locator("#chosen")).to_be_hidden()
        expect(field).to_be_focused()


def test_an_empty_chat_says_what_to_try_and_the_field_grows_with_its_text(open_window: Open) -> None:
    agent = Agent(model="test", description="I <help>.", prompts=["Say <hello>", "Say goodbye"])
    with open_window(agent) as page:
        welcome, field = page.locator("#empty"), page.get_by_label("Your message")
        expect(welcome.get_by_role("heading")).to_have_text("Hello, Alice")
        expect(welcome).to_contain_text("I <help>.")
        expect(field).to_be_focused()
        low = field.bounding_box()
        for _ in range(3):
            field.press("a")
            field.press("Shift+Enter")
        expect(field).to_have_value("a\na\na\n")
        high = field.bounding_box()
        assert low is not None
        assert high is not None
        assert high["height"] > 2.5 * low["height"]
        page.get_by_role("button", name="Say <hello>").press("Enter")
        expect(page.locator("#log .person-said")).to_have_text("Say <hello>")
        expect(page.locator("#log .agent-said")).to_be_visible()
        expect(welcome).to_be_hidden()
        expect(field).to_have_value("a\na\na\n")  # a suggestion is sent without what the person is writing
        field.press("Enter")
        expect(page.locator("#log .person-said").last).to_have_text("a\na\na")
        expect(field).to_have_value("")
