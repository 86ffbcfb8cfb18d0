import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.agent import Agent
from gateway.audit import Audit, AuditTrail
from gateway.credentials import TurnCredentials
from gateway.engines import Answer, load_engine
from gateway.events import (
    Answered,
    ApprovalNeeded,
    EventHandler,
    SignInNeeded,
    ToolStarted,
    TurnEvent,
    TurnHandler,
)
from gateway.journal import ApprovalRequired, RunJournal, TurnJournal
from gateway.sessions import SessionItem
from oauth import ConsentRequired, OAuthCoordinator
from toolkits import Message, TurnContext
from toolkits.context import MessageSender

TURN_TIMEOUT = timedelta(minutes=5)
STOP_GRACE = 0.2  # seconds that a run has to end by itself of a credential that was refused


@dataclass(frozen=True, slots=True)
class Played:
    """What a turn's agent came to.

    Args:
        text: the answer, in markdown.
        items: what the session is to remember.
        private: whether that is for the sender alone.
    """

    text: str
    items: Sequence[SessionItem]
    private: bool


class AgentRunner:
    """Runs a fresh copy of an agent on a message, for its sender."""

    def __init__(self, oauth: OAuthCoordinator | None, audit: Audit, sender: MessageSender) -> None:
        self._oauth = oauth
        self._audit = audit
        self._sender = sender

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
    ) -> Played:
        """Runs it to its end.

        Args:
            template: the agent.
            reference: the turn's id.
            credentials: by provider, for this turn alone, instead of the sender's stored ones.
            journal: what earlier runs of this turn have done, which is not done again.

        Raises:
            ConsentRequired: if the sender has to connect an account first.
            CredentialsRefused: if the turn may use nobody's account.
            LeaseLost: if another worker has taken the turn over.
            TimeoutError: after five minutes.
        """
        agent, loop = template.deep_copy(), asyncio.get_running_loop()
        source = TurnCredentials(
            self._oauth, message, credentials, on_stop=lambda: loop.call_later(STOP_GRACE, running.cancel)
        )
        trail = AuditTrail(self._audit, message, reference, source, journal)
        private = any(item.private for item in history)
        if journal is not None:
            journal.stop = source.stop
            private = private or journal.private

        async def note(event: TurnEvent) -> None:
            nonlocal private
            private = private or (isinstance(event, ToolStarted) and event.private)
            await trail.note(event)

        handle = TurnHandler(note, handler)

        context = TurnContext(
            identity=message.sender,
            conversation=message.conversation,
            message=message,
            deadline=datetime.now(UTC) + TURN_TIMEOUT,
            reference=reference,
            credential_source=source,
            message_sender=self._sender,
        )
        engine = load_engine(agent.engine)
        run = engine.run(agent, message.text, context, history, handle, stream=stream, journal=RunJournal(journal))
        running = asyncio.create_task(run)
        try:
            async with asyncio.timeout(TURN_TIMEOUT.total_seconds()):
                answer = await _finish(running, source)
        except ConsentRequired as needed:
            await handler(SignInNeeded(needed.provider))
            raise
        except ApprovalRequired as needed:
            needed.accounts = source.accounts(needed.key)
            await handler(ApprovalNeeded(needed.tool, needed.action))
            raise
        finally:
            source.end()
            await trail.close()
        await handler(Answered(answer.text))
        return Played(answer.text, answer.items, private or bool(source.asked))


async def _finish(running: asyncio.Task[Answer], source: TurnCredentials) -> Answer:
    """Waits for a run. Where a credential was refused the run ends there, whatever is made of the exception in it."""
    try:
        answer = await running
    except asyncio.CancelledError:
        if source.stopped is None or not running.cancelled() or _is_cancelled():
            raise
    except Exception:
        if source.stopped is None:
            raise
    else:
        if source.stopped is None:
            return answer
    assert source.stopped is not None
    raise source.stopped


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
