"""Questions in the web chat: the transcript contains them as data, and a window posts presses."""

import json

import pytest
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.web import open_window, transcript, write
from support.stage import CANCEL, Orders, obey

from interfaces.web import Web


async def test_a_window_shows_a_question_and_presses_a_button(run: Run) -> None:
    orders = Orders()
    async with run(Web(), [orders], model=FunctionModel(obey)) as running:
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        await write(running, "alice", CANCEL, alice)
        _, asked = await transcript(running, "alice", alice, 2)
        question: dict[str, object] = asked["question"]  # type: ignore[assignment]
        assert "May I do this?" in asked["html"]
        assert "Answer" not in asked["html"]
        assert question["choices"] == [
            {"label": "Approve", "style": "primary"},
            {"label": "Decline", "style": "danger"},
        ]
        assert question["decided"] is None
        press = json.dumps({"question": question["id"], "choice": 0})
        foreign = await running.client.post("/web/bob/press", content=press, headers=bob)
        assert foreign.json()["outcome"] == "not_yours"
        assert (await running.client.post("/web/alice/press", content=press, headers=bob)).status_code == 401
        assert orders.cancelled == []
        taken = await running.client.post("/web/alice/press", content=press, headers=alice)
        assert taken.json() == {"outcome": "taken", "text": "Thank you, I will do it."}
        _, asked, answer = await transcript(running, "alice", alice, 3)
        assert "cancelled 4711" in answer["html"]
        assert str(asked["question"]["decided"]).startswith("Approved by Alice on ")  # type: ignore[index]
        again = await running.client.post("/web/alice/press", content=press, headers=alice)
        assert again.json()["outcome"] == "decided"
        assert orders.cancelled == ["4711"]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"question": "x"}', '{"question": "x", "choice": -1}'])
async def test_a_malformed_press_is_refused(run: Run, body: str) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        answer = await running.client.post("/web/alice/press", content=body, headers=alice)
        assert answer.status_code == (422 if body.startswith("{") else 400)
