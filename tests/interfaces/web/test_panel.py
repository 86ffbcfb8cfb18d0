"""The steps of turns, beside the chat of `understudy dev`."""

from collections.abc import Sequence
from typing import Any

import pytest
from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.channels.running import Run, Running
from support.channels.web import LOCAL, open_window, transcript, write

from gateway import Agent, phase
from gateway.runs.events import (
    Answered,
    AnswerNeeded,
    ApprovalNeeded,
    ModelStarted,
    PhaseEnded,
    PhaseStarted,
    RunStarted,
    SignInNeeded,
    ToolStarted,
    TurnEvent,
)
from interfaces.web import Web
from interfaces.web.panel import LONGEST_TEXT, MOST_STEPS, PersonSteps, Step
from toolkits import ToolError, Toolkit, tool


class Scales(Toolkit):
    @tool
    async def weigh(self, thing: str) -> dict[str, int]:
        """Weigh a thing."""
        if thing == "ghost":
            raise ToolError("A ghost has no weight.")
        return {thing: 3}

    @tool(approval=True)
    async def sell(self, thing: str) -> str:
        """Sell a thing."""
        return f"sold {thing}"


def calling(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call the tool in a message like `weigh pears`, and then say `done`."""
    last = messages[-1].parts[-1]
    if last.part_kind != "user-prompt":
        return ModelResponse([TextPart("done")])
    called, _, thing = str(last.content).partition(" ")
    if called == "break":
        raise RuntimeError("the model is out of order")
    return ModelResponse([ToolCallPart(called, {"thing": thing})])


async def steps(running: Running, person: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    return list((await running.client.get(f"/web/{person}/steps", headers=headers)).json())


def told(steps: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(step["kind"], step["label"], step["outcome"]) for step in steps]


async def test_each_person_reads_the_steps_of_their_own_turns_in_order(run: Run) -> None:
    async with run(Web(panel=True), [Scales()], model=FunctionModel(calling)) as running:
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        await write(running, "alice", "weigh pears", alice)
        _, answer = await transcript(running, "alice", alice, 2)
        await write(running, "bob", "weigh ghost", bob)
        await transcript(running, "bob", bob, 2)
        hers, his = await steps(running, "alice", alice), await steps(running, "bob", bob)
        asked = ("model", "function:calling: for assistant", "ok")
        assert told(hers) == [("run", "assistant", "answered"), asked, ("tool", "weigh", "ok"), asked]
        assert told(his)[2] == ("tool", "weigh", "error")
        assert '"pears"' in hers[2]["given"]
        assert '"pears": 3' in hers[2]["returned"]
        assert his[2]["returned"] == "A ghost has no weight."
        assert "pears" not in str(his)
        assert {step["turn"] for step in hers} == {answer["rated"]}
        assert hers[0]["tokens"] == hers[1]["tokens"] + hers[3]["tokens"] > 0
        assert all(step["seconds"] >= 0 for step in hers)
        assert (await running.client.get("/web/alice/steps", headers=bob)).status_code == 401
        assert (await running.client.get("/web/alice/steps", headers=LOCAL)).status_code == 401


async def test_a_turn_that_waits_for_an_answer_goes_on_in_the_same_turn(run: Run) -> None:
    async with run(Web(panel=True), [Scales()], model=FunctionModel(calling)) as running:
        alice = await open_window(running, "alice")
        await write(running, "alice", "sell pears", alice)
        await wait_until_async(lambda: "approval" in str(told_in(running)), what="the question is asked")
        await transcript(running, "alice", alice, 2)
        await write(running, "alice", "yes", alice, "2")
        await transcript(running, "alice", alice, 4)
        found = await steps(running, "alice", alice)
    kinds = [(step["kind"], step["outcome"]) for step in found]
    first, second = kinds[: kinds.index(("wait", "wait")) + 1], kinds[kinds.index(("wait", "wait")) + 1 :]
    assert first == [("run", "waiting"), ("model", "ok"), ("tool", "asked"), ("wait", "wait")]
    assert second == [("run", "answered"), ("tool", "ok"), ("model", "ok")]
    assert len({step["turn"] for step in found}) == 1
    assert "pears" in found[3]["returned"]


def told_in(running: Running) -> list[dict[str, Any]]:
    web = running.gateway.interfaces["web"]
    assert isinstance(web, Web)
    assert web.presenter.panel is not None
    return web.presenter.panel.steps("alice")


async def test_the_steps_of_a_turn_that_fails_end_with_the_error(run: Run) -> None:
    async with run(Web(panel=True), model=FunctionModel(calling)) as running:
        alice = await open_window(running, "alice")
        await write(running, "alice", "break", alice)
        await transcript(running, "alice", alice, 2)
        found = await steps(running, "alice", alice)
    run_steps = [("run", "failed"), ("model", "error"), ("error", "error")]
    assert [(step["kind"], step["outcome"]) for step in found[-3:]] == run_steps  # of the last of several tries
    assert "the model is out of order" in found[-1]["returned"]


async def test_the_steps_of_a_flow_include_its_phases_and_silent_calls(run: Run) -> None:
    quiet = Agent(model=FunctionModel(lambda messages, info: ModelResponse([TextPart("psst")])), name="quiet")

    async def answer(message: Any) -> str:
        async with phase("Thinking"):
            return await quiet(message).silent()

    async with run(Web(panel=True), agent=Agent(answer, members=[quiet])) as running:
        alice = await open_window(running, "alice")
        await write(running, "alice", "hello", alice)
        await transcript(running, "alice", alice, 2)
        _, thinking, asked = await steps(running, "alice", alice)
    assert (thinking["kind"], thinking["label"], thinking["outcome"]) == ("phase", "Thinking", "ended")
    assert asked["label"].endswith("for quiet")
    assert asked["depth"] > thinking["depth"]


async def test_a_web_chat_outside_of_dev_has_no_steps_and_no_panel(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        assert (await running.client.get("/web/alice/steps", headers=alice)).status_code == 404
        assert "panel" not in (await running.client.get("/web/alice/", headers=LOCAL)).text


def noted(*events: TurnEvent) -> list[Step]:
    person = PersonSteps(lambda step: None)
    for event in events:
        person.note(event)
    return list(person.steps)


@pytest.mark.parametrize(
    ("event", "label", "text"),
    [
        (SignInNeeded("google"), "the sign-in with google", ""),
        (ApprovalNeeded("sell", "Sell pears"), "the approval of sell", "Sell pears"),
        (AnswerNeeded("Which pears?"), "an answer", "Which pears?"),
    ],
)
def test_a_run_says_what_it_waits_for(event: TurnEvent, label: str, text: str) -> None:
    run, waits = noted(RunStarted("r1", "Ann"), event)
    assert run.outcome == "waiting"
    assert (waits.kind, waits.label, waits.returned) == ("wait", label, text)


def test_what_runs_when_a_turn_is_interrupted_has_not_ended() -> None:
    first = [RunStarted("r1", "Ann"), PhaseStarted("Thinking"), ModelStarted("model:1", "Ann")]
    steps = noted(*first, RunStarted("r1", "Ann"), Answered(""))
    assert [step.outcome for step in steps] == ["interrupted", "not ended", "not ended", "answered"]


def test_phases_of_one_name_end_from_the_innermost() -> None:
    begun = [RunStarted("r1", "Ann"), PhaseStarted("Again"), PhaseStarted("Again")]
    assert [step.outcome for step in noted(*begun, PhaseEnded("Again", 5))] == ["", "", "ended"]


@pytest.mark.parametrize("value", ["x" * (LONGEST_TEXT + 1), ["y"] * LONGEST_TEXT])
def test_a_long_argument_is_cut(value: Any) -> None:
    (step,) = noted(ToolStarted("1:a", "weigh", {"thing": value}))
    assert len(step.given) == LONGEST_TEXT


def test_only_the_latest_steps_are_kept() -> None:
    steps = noted(*(RunStarted(str(number), "Ann") for number in range(MOST_STEPS + 5)))
    assert [steps[0].turn, len(steps)] == ["5", MOST_STEPS]
