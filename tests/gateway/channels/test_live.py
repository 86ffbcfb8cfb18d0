"""What is shown of a turn while it runs: in time, not too often, taken away at the end, and never in the turn's way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.stage import RecordingPresenter, Stage, Vault, stage, stage_timings

from gateway import (
    Agent,
    Answered,
    ApprovalNeeded,
    Message,
    PhaseEnded,
    PhaseStarted,
    SignInNeeded,
    ToolEnded,
    ToolStarted,
    phase,
)
from gateway.channels.live import LiveView, MessageView, Steps
from toolkits import Toolkit, tool


class View(LiveView):
    interval = 0.05

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.closed = 0
        self.fails: Exception | None = None
        self.takes = 0.0

    async def update(self, steps: Steps) -> None:
        await asyncio.sleep(self.takes)
        if self.fails is not None:
            raise self.fails
        self.shown.append(steps.text())

    async def close(self) -> None:
        self.closed += 1


class Gated:
    """A flow that waits in its second phase, and what is shown of it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.view = View()

    async def flow(self, message: Message) -> str:
        async with phase("Search"):
            pass
        async with phase("Write"):
            await self.gate.wait()
        return "done"


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Gated:
    made = Gated()
    monkeypatch.setattr(RecordingPresenter, "live_view", lambda *_: made.view)
    return made


def scene_of(gated: Gated, tmp_path: Path, first_status: float = 0.01) -> Stage:
    async def flow(message: Message) -> str:
        return await gated.flow(message)

    return stage(tmp_path, agent=Agent(flow), timings=stage_timings(first_status=first_status))


async def test_the_steps_are_shown_while_it_runs_and_taken_away(tmp_path: Path, gated: Gated) -> None:
    scene = scene_of(gated, tmp_path)
    async with scene.open():
        await scene.write("alice", "go")
        await scene.wait_until(lambda: len(gated.view.shown) >= 3)
        assert gated.view.shown[-1] == "✓ Search (0.0 s)\n… Write"
        assert gated.view.closed == 0
        gated.gate.set()
        assert [each.text for each in await scene.wait_for(1)] == ["done"]
        assert gated.view.closed == 1


@pytest.mark.parametrize("error", [RuntimeError("no"), TimeoutError(), ValueError("no")])
async def test_a_display_that_fails_fails_no_turn_and_is_not_tried_again(
    tmp_path: Path, gated: Gated, error: Exception
) -> None:
    gated.view.fails = error
    scene = scene_of(gated, tmp_path)
    async with scene.open():
        await scene.write("alice", "go")
        await asyncio.sleep(0.2)  # in which it would be tried again
        gated.gate.set()
        assert [each.text for each in await scene.wait_for(1)] == ["done"]
        assert (gated.view.shown, gated.view.closed) == ([], 1)


async def test_an_update_under_way_ends_before_it_is_taken_away(tmp_path: Path, gated: Gated) -> None:
    gated.view.takes = 0.3
    scene = scene_of(gated, tmp_path)
    async with scene.open():
        await scene.write("alice", "go")
        await asyncio.sleep(0.1)
        gated.gate.set()
        await scene.wait_for(1)
        assert (len(gated.view.shown), gated.view.closed) == (1, 1)


async def test_a_turn_that_is_over_at_once_shows_nothing(tmp_path: Path, gated: Gated) -> None:
    gated.gate.set()
    scene = scene_of(gated, tmp_path, first_status=5)
    async with scene.open():
        assert await scene.ask("alice", "go") == "done"
    assert gated.view.shown == []


class PostedView(MessageView[int]):
    interval = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int, str]] = []

    def escape(self, text: str) -> str:
        return text.replace("&", "&amp;")

    async def post(self, text: str) -> int:
        self.calls.append(("post", 7, text))
        return 7

    async def edit(self, posted: int, text: str) -> None:
        self.calls.append(("edit", posted, text))

    async def delete(self, posted: int) -> None:
        self.calls.append(("delete", posted, ""))


async def test_a_message_is_posted_edited_where_something_is_new_and_deleted() -> None:
    view, steps = PostedView(), Steps()
    steps.note(PhaseStarted("Search & read"))
    await view.update(steps)
    await view.update(steps)
    steps.note(PhaseEnded("Search & read", 1000))
    await view.update(steps)
    await view.close()
    assert view.calls == [
        ("post", 7, "… Search &amp; read"),
        ("edit", 7, "✓ Search &amp; read (1.0 s)"),
        ("delete", 7, ""),
    ]


async def test_a_turn_without_phases_posts_no_message() -> None:
    view, steps = PostedView(), Steps()
    steps.note(ToolStarted("1", "look"))
    await view.update(steps)
    await view.close()
    assert view.calls == []


def test_steps_are_lines() -> None:
    steps = Steps()
    assert (steps.text(), steps.has_phases) == ("", False)
    for event in (
        ToolStarted("1", "first"),
        ToolEnded("1", "first"),
        PhaseStarted("A"),
        PhaseStarted("B"),
        ToolStarted("2", "second"),
        PhaseEnded("B", 1234),
        ToolEnded("unknown", "other"),
        PhaseEnded("C", 1),
    ):
        steps.note(event)
    assert steps.has_phases
    assert steps.text() == "✓ first\n… A\n  ✓ B (1.2 s)\n    … second"


async def test_a_handler_is_told_of_what_the_turn_waits_for_and_its_answer(tmp_path: Path, vault: Vault) -> None:
    class Kit(Toolkit):
        @tool(approval=True)
        def pay(self) -> str:
            """Pays."""
            return "paid"

    scene = stage(tmp_path, [vault, Kit()])

    def told(kind: type) -> list[Any]:
        return [event for _, event in scene.channel.presenter.shown if isinstance(event, kind)]

    async with scene.open():
        await scene.write("alice", "call open_vault")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        await scene.wait_for(2)
        assert [event.provider for event in told(SignInNeeded)] == ["fake"]
        assert [event.text for event in told(Answered)] == ["SECRET-alice"]
        await scene.ask("alice", "call pay")
        (needed,) = told(ApprovalNeeded)
        assert (needed.tool, "Call `pay`" in needed.action) == ("pay", True)
