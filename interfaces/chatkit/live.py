"""Show a running turn as ChatKit's events: https://openai.github.io/chatkit-python/guides/respond-to-user-message/"""

from collections.abc import Iterator
from datetime import UTC, datetime

from chatkit.store import default_generate_id
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartAdded,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    CustomSummary,
    CustomTask,
    ProgressUpdateEvent,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    WidgetItem,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)

from gateway.channels.live import timed
from gateway.runs.events import PhaseEnded, PhaseStarted, TextDelta, ToolEnded, ToolStarted, TurnEvent


class LiveItems:
    """The items that show a running turn: the text so far, and a workflow for each phase.

    Tool calls and inner phases are tasks of the workflow. A call outside of all phases is shown as progress, which
    leaves no item.
    """

    def __init__(self, thread_id: str) -> None:
        self._thread_id = thread_id
        self._workflow: WorkflowItem | None = None
        self._running: list[tuple[str, int]] = []  # the phase label or call id of each running task, and its index
        self._phase = ""
        self._draft: AssistantMessageItem | None = None

    def events(self, event: TurnEvent) -> Iterator[ThreadStreamEvent]:
        """Yield ChatKit's events for an event of the turn."""
        match event:
            case TextDelta(text):
                yield from self._write(text)
            case PhaseStarted(label):
                yield from self.drop_draft()
                if self._workflow is None:
                    yield from self._begin(label)
                else:
                    yield from self._add_task(label, label)
            case PhaseEnded(label, elapsed_ms):
                took = timed(label, elapsed_ms)
                if any(key == label for key, _ in self._running):
                    yield from self._end_task(label, took)
                elif label == self._phase:
                    yield from self._end(took)
            case ToolStarted(call_id, label=label):
                yield from self.drop_draft()
                if self._workflow is None:
                    yield ProgressUpdateEvent(text=label)
                else:
                    yield from self._add_task(call_id, label)
            case ToolEnded(call_id):
                yield from self._end_task(call_id, None)

    def done(self, item: AssistantMessageItem | WidgetItem) -> Iterator[ThreadStreamEvent]:
        """Yield the answer or a question in place of the text so far.

        Its id is the same whenever the thread is read again. The page rates an answer by it.
        """
        yield from self.drop_draft()
        yield ThreadItemDoneEvent(item=item)

    def close(self) -> Iterator[ThreadStreamEvent]:
        """Remove the text so far and end the workflow, if the turn waits for something or was interrupted."""
        yield from self.drop_draft()
        yield from self._end(self._phase)

    def drop_draft(self) -> Iterator[ThreadStreamEvent]:
        """Remove the text so far, which was not the answer, since something follows it."""
        if self._draft is not None:
            yield ThreadItemRemovedEvent(item_id=self._draft.id)
            self._draft = None

    def _write(self, text: str) -> Iterator[ThreadStreamEvent]:
        if self._draft is None:
            self._draft = AssistantMessageItem(
                id=default_generate_id("message"), thread_id=self._thread_id, created_at=datetime.now(UTC), content=[]
            )
            yield ThreadItemAddedEvent(item=self._draft)
            part = AssistantMessageContentPartAdded(content_index=0, content=AssistantMessageContent(text=""))
            yield ThreadItemUpdatedEvent(item_id=self._draft.id, update=part)
        delta = AssistantMessageContentPartTextDelta(content_index=0, delta=text)
        yield ThreadItemUpdatedEvent(item_id=self._draft.id, update=delta)

    def _begin(self, label: str) -> Iterator[ThreadStreamEvent]:
        workflow = Workflow(type="custom", tasks=[], summary=CustomSummary(title=label), expanded=True)
        self._workflow = WorkflowItem(
            id=default_generate_id("workflow"),
            thread_id=self._thread_id,
            created_at=datetime.now(UTC),
            workflow=workflow,
        )
        self._phase = label
        yield ThreadItemAddedEvent(item=self._workflow)

    def _end(self, title: str) -> Iterator[ThreadStreamEvent]:
        if self._workflow is None:
            return
        for key, _ in list(self._running):
            yield from self._end_task(key, None)
        self._workflow.workflow.summary, self._workflow.workflow.expanded = CustomSummary(title=title), False
        yield ThreadItemDoneEvent(item=self._workflow)
        self._workflow = None

    def _add_task(self, key: str, title: str) -> Iterator[ThreadStreamEvent]:
        assert self._workflow is not None
        tasks, task = self._workflow.workflow.tasks, CustomTask(title=title, status_indicator="loading")
        self._running.append((key, len(tasks)))
        added = WorkflowTaskAdded(task_index=len(tasks), task=task)
        tasks.append(task)
        yield ThreadItemUpdatedEvent(item_id=self._workflow.id, update=added)

    def _end_task(self, key: str, title: str | None) -> Iterator[ThreadStreamEvent]:
        place = next((at for at in reversed(range(len(self._running))) if self._running[at][0] == key), None)
        if self._workflow is None or place is None:
            return
        _, index = self._running.pop(place)
        tasks = self._workflow.workflow.tasks
        ended = CustomTask(title=title or tasks[index].title, status_indicator="complete")
        tasks[index] = ended
        updated = WorkflowTaskUpdated(task_index=index, task=ended)
        yield ThreadItemUpdatedEvent(item_id=self._workflow.id, update=updated)
