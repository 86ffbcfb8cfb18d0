"""A running turn is shown in time, updated not too often, and removed at the end, and never delays the turn."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from peers.wait import wait_until_async
from support.stage import RecordingPresenter, Stage, Vault, stage, stage_timings

from gateway import (
    Agent,
    Answered,
    ApprovalNeeded,
    Message,
    PhaseEnded,
    PhaseStarted,
    SignInNeeded,
    TextDelta,
    ToolEnded,
    ToolStarted,
    phase,
)
from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RetryLaterError
from gateway.channels.live import (
    UNFINISHED,
    LiveView,
    MessageView,
    Preview,
    PreviewKind,
    Progress,
    Steps,
    shown_live,
)
from toolkits import Toolkit, tool


class View(LiveView):
    refresh = 0.05

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.closed = 0
        self.fails: Exception | None = None
        self.has_begun = False
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def indicate(self, progress: Progress) -> None:
        self.has_begun = True
        await self.may_end.wait()
        if self.fails is not None:
            raise self.fails
        self.shown.append(progress.steps.text())

    async def close(self) -> None:
        self.closed += 1


class RecordedPreviews:
    """A record of previews in memory."""

    is_resumed = False

    def __init__(self, *left: Preview) -> None:
        self.all = list(left)
        self._ids = itertools.count(100)

    async def load(self) -> list[Preview]:
        return list(self.all)

    async def begin(self, kind: PreviewKind) -> int:
        self.all.append(Preview(next(self._ids), kind, None, datetime.now(UTC)))
        return self.all[-1].id

    async def posted(self, preview_id: int, platform_id: str) -> None:
        self.all = [replace(each, platform_id=platform_id) if each.id == preview_id else each for each in self.all]

    async def forget(self, preview_id: int) -> None:
        self.all = [each for each in self.all if each.id != preview_id]


class Gated:
    """A flow that waits in its second phase, and the view of its turn."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.has_answered = False
        self.view = View()

    async def flow(self, message: Message) -> str:
        async with phase("Search"):
            pass
        async with phase("Write"):
            await self.gate.wait()
        self.has_answered = True
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


async def test_the_steps_of_a_turn_are_shown_while_it_runs_and_then_removed(tmp_path: Path, gated: Gated) -> None:
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
async def test_a_view_that_fails_does_not_fail_the_turn_and_is_not_tried_again(
    tmp_path: Path, gated: Gated, error: Exception
) -> None:
    gated.view.fails = error
    scene = scene_of(gated, tmp_path)
    async with scene.open():
        await scene.write("alice", "go")
        await asyncio.sleep(0.2)  # long enough for another try
        gated.gate.set()
        assert [each.text for each in await scene.wait_for(1)] == ["done"]
        assert (gated.view.shown, gated.view.closed) == ([], 1)


async def test_an_update_in_progress_ends_before_the_view_is_closed(tmp_path: Path, gated: Gated) -> None:
    gated.view.may_end.clear()
    scene = scene_of(gated, tmp_path)
    async with scene.open():
        await scene.write("alice", "go")
        await scene.wait_until(lambda: gated.view.has_begun)
        gated.gate.set()
        await scene.wait_until(lambda: gated.has_answered)
        assert (len(gated.view.shown), gated.view.closed) == (0, 0)
        gated.view.may_end.set()
        await scene.wait_for(1)
        assert (len(gated.view.shown), gated.view.closed) == (1, 1)


async def test_a_turn_that_is_over_at_once_shows_nothing(tmp_path: Path, gated: Gated) -> None:
    gated.gate.set()
    scene = scene_of(gated, tmp_path, first_status=5)
    async with scene.open():
        assert await scene.ask("alice", "go") == "done"
    assert gated.view.shown == []


class PostedView(MessageView):
    """A view that keeps its messages in `there`, by their ids."""

    refresh = 60.0
    streams = True

    def __init__(self, previews: RecordedPreviews | None = None) -> None:
        super().__init__()
        self.there: dict[str, str] = {}
        self.calls: list[str] = []
        self.fails: list[Exception] = []
        self.log = previews or RecordedPreviews()
        self._ids = itertools.count(1)

    async def indicate(self, progress: Progress) -> None:
        return

    def escape(self, text: str) -> str:
        return text.replace("&", "&amp;")

    async def post(self, text: str, kind: PreviewKind) -> str:
        self.calls.append(f"post {text}")
        if self.fails:
            raise self.fails.pop(0)
        platform_id = f"p{next(self._ids)}"
        self.there[platform_id] = text
        return platform_id

    async def edit(self, platform_id: str, text: str) -> None:
        self.calls.append(f"edit {text}")
        self.there[platform_id] = text

    async def delete(self, platform_id: str) -> None:
        del self.there[platform_id]

    async def show(self, progress: Progress) -> None:
        """Make all calls that the view needs to show this progress."""
        while (call := await self.plan(progress)) is not None:
            await call()


async def in_tens(markdown: str) -> list[str]:
    """Render a text as parts of ten characters."""
    return [markdown[start : start + 10] for start in range(0, len(markdown), 10)]


async def test_phases_are_one_message_that_is_edited_when_something_changes() -> None:
    view, progress = PostedView(), Progress()
    await view.begin(view.log, in_tens)
    progress.note(PhaseStarted("Search & read"))
    await view.show(progress)
    await view.show(progress)
    progress.note(PhaseEnded("Search & read", 1000))
    await view.show(progress)
    assert view.calls == ["post … Search &amp; read", "edit ✓ Search &amp; read (1.0 s)"]
    assert [(each.kind, each.platform_id) for each in view.log.all] == [(PreviewKind.STATUS, "p1")]


async def test_a_turn_without_phases_and_text_posts_no_message() -> None:
    view, progress = PostedView(), Progress()
    await view.begin(view.log, in_tens)
    progress.note(ToolStarted("1", "look"))
    await view.show(progress)
    assert view.calls == []


async def test_a_text_rolls_over_into_the_next_message_while_it_is_written() -> None:
    view, progress = PostedView(), Progress()
    await view.begin(view.log, in_tens)
    for text in ("abc", "defghijkl", "mnopqrstuvwxyz"):
        progress.note(TextDelta(text))
        await view.show(progress)
    assert view.there == {"p1": "abcdefghij", "p2": "klmnopqrst", "p3": f"uvwxyz{UNFINISHED}"}
    assert [each.platform_id for each in view.log.all] == ["p1", "p2", "p3"]


async def test_text_before_a_tool_call_is_replaced_by_the_answer() -> None:
    view, progress = PostedView(), Progress()
    await view.begin(view.log, in_tens)
    progress.note(TextDelta("Let me look it up for you."))
    await view.show(progress)
    progress.note(ToolStarted("1", "look"))
    await view.show(progress)
    assert len(view.there) == 3
    progress.note(TextDelta("42"))
    await view.show(progress)
    assert view.there == {"p1": f"42{UNFINISHED}"}


async def test_a_text_that_becomes_private_is_removed() -> None:
    view, progress = PostedView(), Progress()
    await view.begin(view.log, in_tens)
    progress.note(TextDelta("I will look into your mails"))
    await view.show(progress)
    progress.hide_text()
    progress.note(TextDelta("secret"))
    await view.show(progress)
    assert (view.there, view.log.all) == ({}, [])


async def test_messages_of_an_earlier_run_of_the_turn_are_edited() -> None:
    before = datetime.now(UTC)
    left = RecordedPreviews(Preview(7, PreviewKind.ANSWER, "p7", before), Preview(8, PreviewKind.ANSWER, None, before))
    view, progress = PostedView(left), Progress()
    view.there["p7"] = "half of it"
    await view.begin(left, in_tens)
    progress.note(TextDelta("new"))
    await view.show(progress)
    assert view.there == {"p7": f"new{UNFINISHED}"}


@pytest.mark.parametrize(
    ("error", "is_kept"), [(DeliveryAmbiguousError("lost"), True), (DeliveryRefusedError("no"), False)]
)
async def test_a_message_that_may_have_been_posted_stays_in_the_record(error: Exception, is_kept: bool) -> None:
    view, progress = PostedView(), Progress()
    view.fails.append(error)
    await view.begin(view.log, in_tens)
    progress.note(TextDelta("hello"))
    with pytest.raises(type(error)):
        await view.show(progress)
    assert [each.platform_id for each in view.log.all] == ([None] if is_kept else [])


@pytest.mark.long
async def test_a_view_continues_after_the_pause_that_the_platform_asked_for() -> None:
    view = PostedView()
    view.fails.append(RetryLaterError(1))
    await view.begin(view.log, in_tens)
    async with shown_live(view, stage_timings(first_status=0.0)) as progress:
        progress.note(TextDelta("hello"))
        await wait_until_async(lambda: view.there, what="the message is posted")
    assert view.calls == [f"post hello{UNFINISHED}"] * 2


def test_a_call_is_shown_by_its_label_without_its_arguments() -> None:
    steps = Steps()
    steps.note(ToolStarted("1", "search_messages", {"query": "divorce"}, label="Searching your mail"))
    steps.note(ToolStarted("2", "list_events", {"day": "friday"}))
    steps.note(ToolEnded("1", "search_messages", result="a secret"))
    assert steps.text() == "✓ Searching your mail\n… List events"


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
    assert steps.text() == "✓ First\n… A\n  ✓ B (1.2 s)\n    … Second"


async def test_a_handler_gets_the_events_of_a_sign_in_an_approval_and_the_answer(tmp_path: Path, vault: Vault) -> None:
    class Kit(Toolkit):
        @tool(approval=True)
        def pay(self) -> str:
            """Pay."""
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
