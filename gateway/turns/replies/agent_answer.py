"""Answer a message with a fresh copy of the agent."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.channels.live import shown_live
from gateway.inbox.claims import LeaseLostError, TurnStoppedError
from gateway.logs import describe
from gateway.outbox.rendering import rendered
from gateway.request_context import get_request_context, set_request_context
from gateway.retries import is_transient
from gateway.runs.engine import TurnTimeoutError
from gateway.runs.events import ToolStarted, TurnEvent
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import AnswerRequiredError, CallNotRepeatedError
from gateway.settings import PrivateAnswers
from gateway.storage.database import DatabaseUnavailableError
from gateway.storage.tables import InboxStatus
from gateway.timings import Timings
from gateway.turns.replies.earlier_files import HistoryWithFiles
from gateway.turns.replies.sentences import FAILED, NO_ANSWER, TOO_SLOW, with_interrupted
from gateway.turns.runner import CopyRunner
from gateway.turns.turn import Turn, TurnOutcome
from oauth import ConsentRequiredError, CredentialsRefusedError
from toolkits import Message, QuotedMessage

RequestValues = Callable[[Message], Mapping[str, Any]]
"""A function that returns the values which a host application adds to the request context of a message."""

log = logging.getLogger(__name__)


class AgentAnswer:
    """Answers every message that no earlier reply has answered.

    Args:
        request_values: returns the values to add to the request context of the turn.
        tries: how often a message is tried.
    """

    def __init__(
        self,
        runner: CopyRunner,
        history: HistoryWithFiles,
        request_values: RequestValues,
        tries: int,
        timings: Timings,
    ) -> None:
        self._runner = runner
        self._history = history
        self._request_values = request_values
        self._tries = tries
        self._timings = timings

    async def reply(self, turn: Turn) -> TurnOutcome:
        try:
            return await self._run(turn)
        except ConsentRequiredError as needed:
            log.info("parked until %s has connected %s", turn.message.sender, needed.provider)
            await turn.journal.retract()
            return TurnOutcome(sign_in=needed.provider, parked=needed)
        except AnswerRequiredError as needed:
            log.info("parked until %s has answered a question: %s", turn.message.sender, needed)
            return TurnOutcome(parked=needed)
        except (LeaseLostError, TurnStoppedError, DatabaseUnavailableError):
            raise
        except CredentialsRefusedError as refusal:
            return TurnOutcome(str(refusal))
        except TurnTimeoutError:
            reason = f"The turn took longer than {self._timings.turn:g} s."
            log.error(reason)  # noqa: TRY400 - the traceback would only show the wait
            return _failed(turn, TOO_SLOW, reason)
        except Exception as error:  # whatever a model or a tool raises
            may_help = (
                is_transient(error) and not turn.journal.tool_raised and not isinstance(error, CallNotRepeatedError)
            )
            if may_help and turn.row.attempts < self._tries:
                log.warning("the turn failed and is tried again: %s", describe(error))
                return TurnOutcome(retry=True, error=describe(error))
            log.exception("the turn failed")
            return _failed(turn, FAILED, describe(error))

    async def _run(self, turn: Turn) -> TurnOutcome:
        message, presenter = turn.message, turn.presenter
        await turn.slot.take()  # an interrupted run of this turn may have freed it
        set_request_context({**self._request_values(message), **get_request_context()})
        history, message = await turn.journal.unless_stopped(self._prepare(turn))
        view, may_be_read = presenter.live_view(message), self._may_be_read_by_all(turn, history)
        if view is not None:
            await view.begin(turn.previews, partial(rendered, presenter))
        async with shown_live(view, self._timings, shows_text=may_be_read) as progress:

            async def show(event: TurnEvent) -> None:
                if isinstance(event, ToolStarted) and event.private and self._hides_private(message):
                    progress.hide_text()
                progress.note(event)
                await presenter.show(message, event)

            run = await self._runner.run(
                turn.agent,
                message,
                turn.row.reference,
                history,
                show,
                stream=presenter.streams or (view is not None and view.streams and may_be_read),
                journal=turn.journal,
                observer=partial(presenter.observe, message),
            )
            turn.slot.free()  # the end of this block may wait for the platform
        text = with_interrupted(run.text.strip() or ("" if run.files else NO_ANSWER), turn.journal.ambiguous)
        text = "\n\n".join(filter(None, (text, *run.unread)))
        return TurnOutcome(text, list(run.items), run.files, by_agent=True, private=run.private, usage=run.usage)

    async def _prepare(self, turn: Turn) -> tuple[Sequence[SessionItem], Message]:
        """Load the turn's journal, and return the history and the message with the messages that it refers to."""
        history = await self._history.load(turn)
        quoted = tuple(await self._quoted(turn, history))
        await turn.journal.load()
        return history, replace(turn.message, quoted=quoted)

    def _may_be_read_by_all(self, turn: Turn, history: Sequence[SessionItem]) -> bool:
        """Return whether everybody in the conversation may read the answer, no matter which tools the agent calls."""
        is_private = turn.agent.may_be_private or turn.journal.private or any(item.private for item in history)
        return not (is_private and self._hides_private(turn.message))

    def _hides_private(self, message: Message) -> bool:
        """Return whether a private answer to a message is hidden from other people in its conversation."""
        return message.conversation.shared and self._runner.private_answers is PrivateAnswers.ALONE

    async def _quoted(self, turn: Turn, history: Sequence[SessionItem]) -> Sequence[QuotedMessage]:
        """Return the messages that the message of a turn refers to."""
        quoted_before = (item.data for item in reversed(history) if item.role is Role.QUOTED and item.data)
        try:
            async with asyncio.timeout(self._timings.quoted):
                return await turn.interface.read_quoted(turn.message, next(quoted_before, ""))
        except TimeoutError:
            log.warning("the messages that this message refers to were not read within %g s", self._timings.quoted)
            return turn.message.quoted


def _failed(turn: Turn, sentence: str, error: str) -> TurnOutcome:
    text = with_interrupted(sentence.format(reference=turn.row.reference), turn.journal.ambiguous)
    return TurnOutcome(text, status=InboxStatus.DEAD, error=error)
