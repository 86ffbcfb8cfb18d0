"""Questions in ChatKit: widgets whose buttons are actions."""

from pathlib import Path

import pytest
from pydantic_ai.models.function import FunctionModel
from support.channels.chatkit import answers, buttons, serving
from support.stage import CANCEL, Orders, obey

from gateway import Agent

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:Direct usage of named widget:DeprecationWarning")]


def test_a_press_answers_a_question_and_its_answer_follows(tmp_path: Path, database_url: str) -> None:
    orders = Orders()
    with serving(Agent(model=FunctionModel(obey), toolkits=[orders]), tmp_path, database_url) as page:
        alice, bob = page("alice"), page("bob")
        thread, _ = alice.begin(CANCEL)
        (asked,) = [item for item in alice.items(thread).data if item.type == "widget"]
        assert [button.label for button in buttons(asked)] == ["Approve", "Decline"]
        theirs = {"type": "question.answer", "payload": buttons(asked)[0].onClickAction.payload}
        stolen = bob.request("threads.custom_action", thread_id=thread, item_id=asked.id, action=theirs)
        assert stolen.status_code == 404
        assert orders.cancelled == []
        events = alice.press(thread, asked, "Approve")
        assert asked.id in [event.item.id for event in events if event.type == "thread.item.replaced"]
        assert answers(events) == ["cancelled 4711"]
        (closed,) = [item for item in alice.items(thread).data if item.type == "widget"]
        assert buttons(closed) == []
        assert "Approved by Alice on" in closed.widget.children[-1].value.replace("\\", "")
        again = alice.press(thread, asked, "Decline")
        (told,) = [event.message for event in again if event.type == "notice"]
        assert told.startswith("Approved by Alice on ")
        assert orders.cancelled == ["4711"]


def test_an_action_of_an_unknown_button_is_refused(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        thread, _ = alice.begin("hello")
        action = {"type": "question.answer", "payload": {"question": "x", "choice": 0}}
        *_, refused = alice.events("threads.custom_action", thread_id=thread, action=action)
        assert (refused.type, refused.message) == ("error", "Sorry, I do not know this button.")
