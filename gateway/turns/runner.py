"""Run a fresh copy of an agent on a message, on behalf of the sender."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.agents.agent import Agent
from gateway.attachments.budget import FileBudget
from gateway.cancellation import cancel_and_wait, exits_contained
from gateway.executor import tool_threads
from gateway.inbox.claims import TurnStoppedError
from gateway.logs import describe
from gateway.outbox.sender import Sender, TurnSender, current_turn_sender
from gateway.runs.engine import Answer, TurnTimeoutError, load_engine
from gateway.runs.events import (
    Answered,
    AnswerNeeded,
    ApprovalNeeded,
    EventHandler,
    RunFailed,
    RunStarted,
    SignInNeeded,
    TextSoFar,
    ToolStarted,
    TurnEvent,
    TurnHandler,
    report,
)
from gateway.runs.items import SessionItem
from gateway.runs.journal import ApprovalRequiredError, AskRequiredError, EngineJournal
from gateway.settings import PrivateAnswers
from gateway.timings import DEFAULT_TIMINGS, Timings
from gateway.turns.audit import Audit, AuditTrail
from gateway.turns.credentials import TurnCredentials
from gateway.turns.journal import TurnJournal
from gateway.turns.questions.tools import TurnQuestions
from gateway.turns.usage import TurnUsage
from oauth import ConsentRequiredError, OAuthCoordinator
from toolkits import Attachment, File, Message, TurnContext


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The answer of a copy of an agent.

    Args:
        text: the answer, in markdown.
        items: the items that are added to the session.
        private: whether only the sender may read the answer and the items.
        unread: a sentence for the sender about each attachment that the model was not given.
        files: the files that the model returned.
        usage: what the run has used.
    """

    text: str
    items: Sequence[SessionItem]
    private: bool
    unread: Sequence[str] = ()
    files: Sequence[File] = ()
    usage: TurnUsage = field(default_factory=TurnUsage)


def _ignore(_: TurnEvent) -> None:
    return


class CopyRunner:
    """Runs a fresh copy of an agent on each message, with the credentials of its sender.

    Args:
        oauth: provides the credentials; `None` if no toolkit needs an account.
        private_answers: where a private answer to a message in a shared conversation goes. Also an attribute.
    """

    def __init__(
        self,
        oauth: OAuthCoordinator | None,
        audit: Audit,
        sender: Sender,
        private_answers: PrivateAnswers,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        self._oauth = oauth
        self._audit = audit
        self._sender = sender
        self.private_answers = private_answers
        self._files = FileBudget()

    async def run(
        self,
        template: Agent,
        message: Message,
        reference: str,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        credentials: Mapping[str, Any] | None = None,
        journal: TurnJournal | None = None,
        observer: Callable[[TurnEvent], None] = _ignore,
    ) -> RunOutcome:
        """Run a copy of an agent until it has answered.

        Args:
            template: the agent to copy.
            reference: the reference of the turn, for the log and the audit.
            history: the earlier items of the conversation.
            handler: receives the events of the turn.
            stream: whether the handler wants the text as it is written.
            credentials: credentials by provider, to use in this turn instead of the sender's stored ones.
            journal: the record of this turn's earlier runs, whose calls are not repeated.
            observer: receives all events, also of what people do not see.

        Raises:
            ConsentRequiredError: if the sender has to connect an account first.
            AnswerRequiredError: if the sender has to answer a question first.
            CredentialsRefusedError: if the turn may use nobody's account.
            LeaseLostError: if another worker has taken the turn over.
            TurnStoppedError: if the turn was stopped. It has the text so far.
            TurnTimeoutError: after `Timings.turn`.
        """
        agent, stopped = template.deep_copy(), asyncio.Event()
        source = TurnCredentials(self._oauth, message, credentials, stopped.set, self._timings)
        trail = AuditTrail(self._audit, message, reference, source, journal)
        private = any(item.private for item in history)

        def is_private() -> bool:
            return private or bool(source.uses)

        def sends_privately() -> bool:
            return is_private() and self.private_answers is PrivateAnswers.ALONE

        sender = TurnSender(self._sender, message, sends_privately)
        if journal is not None:
            if (reason := journal.stopped()) is not None:
                source.stop(reason)
            journal.stop, journal.stopped = source.stop, lambda: source.stopped
            private = private or journal.private

        async def note(event: TurnEvent) -> None:
            nonlocal private
            private = private or (isinstance(event, ToolStarted) and event.private)
            usage.note(event)
            await trail.note(event)
            observer(event)

        said, usage = TextSoFar(), TurnUsage()

        async def show(event: TurnEvent) -> None:
            said.note(event)
            await handler(event)

        handle = TurnHandler(note, show)

        context = TurnContext(
            identity=message.sender,
            conversation=message.conversation,
            message=message,
            deadline=datetime.now(UTC) + timedelta(seconds=self._timings.turn),
            reference=reference,
            credential_source=source,
            message_sender=sender,
            question_source=TurnQuestions(journal, source, message, sends_privately) if journal is not None else None,
        )
        await report(handle, RunStarted(reference, agent.name))
        engine = load_engine(agent.engine)
        run = engine.run(
            agent,
            message.text,
            context,
            history,
            handle,
            stream=stream,
            attachments=message.attachments,
            quoted=message.quoted,
            journal=EngineJournal(journal),
        )
        files = [*message.attachments, *(each for item in history for each in item.attachments or ())]
        try:
            answer = await _finish(
                self._contained(run, agent, sender, files), source, stopped, reference, self._timings
            )
        except ConsentRequiredError as needed:
            await handle(SignInNeeded(needed.provider))
            raise
        except ApprovalRequiredError as needed:
            needed.accounts = source.accounts(needed.key)
            await handle(ApprovalNeeded(needed.tool, needed.action))
            raise
        except AskRequiredError as needed:
            await handle(AnswerNeeded(needed.ask.question))
            raise
        except TurnStoppedError as cut:
            cut.text, cut.private = said.text, is_private()
            observer(RunFailed("somebody stopped the turn"))
            raise
        except Exception as error:
            observer(RunFailed(describe(error)))
            raise
        finally:
            source.end()
            await trail.close()
        await handle(Answered(answer.text))
        return RunOutcome(answer.text, answer.items, is_private(), answer.unread, answer.files, usage)

    async def _contained(
        self, run: Coroutine[Any, Any, Answer], agent: Agent, sender: TurnSender, files: Sequence[Attachment]
    ) -> Answer:
        """Await a run in the context of its own task, with what the run needs around it.

        Args:
            files: the attachments that the run may read.
        """
        current_turn_sender.set(sender)
        # If the agent is written for a framework, all work in threads counts as the work of its tools.
        threads = tool_threads() if agent.native is not None else nullcontext()
        with closing(run), exits_contained("the agent"), threads:
            async with self._files.room_for(files):
                return await run


async def _finish(
    run: Coroutine[Any, Any, Answer], source: TurnCredentials, stopped: asyncio.Event, reference: str, timings: Timings
) -> Answer:
    """Wait for a run. Cancel it when its time is over, when `source` stops it, or when the turn is cancelled.

    A run that swallows its cancellation is abandoned.

    Args:
        stopped: an event that is set once `source.stopped` has a reason.
        reference: the reference of the turn, for the name of the task.

    Raises:
        TurnTimeoutError: after `Timings.turn`.
        StrayExitError: if the run itself raised `CancelledError` or `SystemExit`.
        Exception: what the run raised, or the reason for which `source` stopped it.
    """
    running = asyncio.create_task(run, name=f"the run of turn {reference}")
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({running, stopping}, timeout=timings.turn, return_when=asyncio.FIRST_COMPLETED)
        if stopped.is_set():
            await _end_calls(running, source, timings)
    finally:
        stopping.cancel()
        late = not running.done()
        if late:
            await cancel_and_wait(running, timings.cancel_grace)
    if source.stopped is not None:
        has_failed = not running.done() or running.cancelled() or running.exception() is not None
        if isinstance(source.stopped, TurnStoppedError) and not has_failed:
            return running.result()  # the answer was ready before the run could be stopped
        raise source.stopped
    if late:
        raise TurnTimeoutError
    with exits_contained("the agent"):
        return running.result()


async def _end_calls(running: asyncio.Task[Answer], source: TurnCredentials, timings: Timings) -> None:
    """Wait a moment for a stopped run to end by itself, and longer while tool calls are running.

    A call that is cancelled half-way is ambiguous, so calls get time to end. If somebody has stopped the turn,
    read-only calls get none.
    """
    may_be_cut = source.reading_calls if isinstance(source.stopped, TurnStoppedError) else frozenset[str]()
    deadline = time.monotonic() + timings.calls_grace
    await asyncio.wait({running}, timeout=timings.run_end_grace)
    while not running.done() and source.open_calls - may_be_cut and time.monotonic() < deadline:
        await asyncio.wait({running}, timeout=timings.run_end_grace)
