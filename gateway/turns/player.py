import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.agents.agent import Agent
from gateway.agents.routing import Router
from gateway.cancellation import exits_contained
from gateway.channels.interface import Interface
from gateway.channels.live import shown_live
from gateway.channels.presenter import HELD_ANSWER
from gateway.channels.rendering import rendered
from gateway.history.sessions import Sessions
from gateway.inbox.dispatch import TurnSlot
from gateway.inbox.inbox import ClaimedMessage, Inbox, LeaseLostError
from gateway.logs import describe
from gateway.outbox.outbox import Outbox, PendingDelivery
from gateway.request_context import get_request_context, set_request_context, update_request_context
from gateway.retries import may_pass, next_try
from gateway.runs.engine import TurnTimeoutError
from gateway.runs.events import TurnEvent
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import ApprovalRequiredError, CallNotRepeatedError
from gateway.settings import PrivateAnswers, WhenBusy
from gateway.storage.database import Database, DatabaseUnavailableError
from gateway.storage.tables import InboxStatus
from gateway.timings import DEFAULT_TIMINGS, Timings
from gateway.turns import sentences
from gateway.turns.approvals import Approvals, Question, answer_in
from gateway.turns.collecting import MessageCollector, may_be_joined
from gateway.turns.journal import TurnJournal
from gateway.turns.runner import CopyRunner
from gateway.turns.summaries import Summaries
from oauth import ConsentRequiredError, CredentialsRefusedError, OAuthCoordinator
from oauth.store.pending import code_in
from toolkits import Message
from toolkits.text import storable

ATTACHMENTS_UNREAD = "I cannot read attachments yet, only text."
NO_ANSWER = "I have no answer to that."
NOBODY_ALONE = (
    "The answer is for one person alone, and I cannot tell who you are here. Write to me directly, as yourself."
)
NOTHING_HELD = "No answer waits for you any more."
FAILED = "Sorry, something went wrong and I could not answer that (reference {reference})."
INTERRUPTED = "I was interrupted while I used {tools}: I cannot tell whether that was done, and did not repeat it."
TOO_SLOW = "Sorry, that took too long and I gave up (reference {reference})."

RequestValues = Callable[[Message], Mapping[str, Any]]
"""Gives values of a message that a host application adds to the request context."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """What a turn came to, to be written in one transaction.

    Args:
        text: what is said, in markdown.
        items: what the session is to remember.
        private: whether that is for the sender alone.
        alone: whether what is said goes to the sender alone, also where private answers are posted openly.
        sign_in: the provider that a link is sent for.
        parked: what the message waits for.
        answers: what a question is answered that the sender was asked; `None` if they are asked again.
        status: how the message's row ends, unless it is parked.
        retry: whether it is tried again instead.
        error: why it failed, if it did.
    """

    text: str = ""
    items: list[SessionItem] = field(default_factory=list)
    private: bool = False
    alone: bool = False
    sign_in: str | None = None
    parked: ConsentRequiredError | ApprovalRequiredError | None = None
    answers: tuple[Question, bool | None] | None = None
    status: InboxStatus = InboxStatus.DONE
    retry: bool = False
    error: str = ""


class Turns:
    """Plays messages: each by a fresh copy of the agent, for its sender."""

    def __init__(
        self,
        router: Router,
        runner: CopyRunner,
        interfaces: Mapping[str, Interface],
        database: Database,
        inbox: Inbox,
        outbox: Outbox,
        sessions: Sessions,
        summaries: Summaries,
        approvals: Approvals | None,
        oauth: OAuthCoordinator | None,
        private_answers: PrivateAnswers,
        tries: int,
        request_values: RequestValues,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        self._router = router
        self._runner = runner
        self._interfaces = interfaces
        self._database = database
        self._inbox = inbox
        self._outbox = outbox
        self._sessions = sessions
        self._summaries = summaries
        self._approvals = approvals
        self._oauth = oauth
        self._private_answers = private_answers
        self._tries = tries
        self._request_values = request_values

    async def play(self, row: ClaimedMessage, slot: TurnSlot) -> list[PendingDelivery] | None:
        """Plays one claimed message to its end: answered, parked or given up.

        Args:
            slot: taken; it is freed when the agent has answered.

        Returns:
            What is to be sent now, if it is known.

        Raises:
            DatabaseUnavailableError: if the database failed in the turn, which says nothing against the message.
        """
        channel = row.conversation.channel
        interface = self._interfaces.get(channel)
        try:
            if row.attempts > self._tries:
                return await self._give_up(row, interface)
            if interface is None:
                await self._put_off(row, f"No channel {channel!r} is configured, so nothing can be answered there.")
                return None
            try:
                with exits_contained("the parser"):
                    async with asyncio.timeout(self._timings.parse):
                        message = await interface.parse(row.payload)
            except DatabaseUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a channel's parser raises: it is stored and logged
                await self._put_off(row, describe(error), error)
                return None
            if message is None:
                await self._end(row, InboxStatus.DONE)
                return None
            update_request_context(USER_ID=message.sender.user_id)
            agent, message = self._router.select(message)
            journal, message, outcome = await self._answer(row, message, agent, interface, slot)
            if outcome.retry:
                await self._inbox.retry(
                    row, message.sender, outcome.error, next_try(row.attempts, self._timings.longest_pause)
                )
                return None
            unsent = await self._write(row, message, outcome, interface, journal)
            if outcome.status is InboxStatus.DONE and outcome.parked is None:
                log.info("answered %.1f s after it was accepted", (datetime.now(UTC) - row.accepted_at).total_seconds())
        except LeaseLostError:
            log.warning("another worker has taken this message over; nothing of this turn is kept")
            return None
        else:
            return unsent

    async def _put_off(self, row: ClaimedMessage, reason: str, error: Exception | None = None) -> None:
        """Try a message again later that cannot be read, and make it a dead letter after its tries."""
        if row.attempts < self._tries:
            log.warning("the message is tried again: %s", reason)
            await self._inbox.retry(row, None, reason, self._next_try(row))
        else:
            log.error("given up after %s tries: %s", row.attempts, reason, exc_info=error)
            await self._end(row, InboxStatus.DEAD, reason)

    def _next_try(self, row: ClaimedMessage) -> datetime:
        return next_try(row.attempts, self._timings.longest_pause)

    async def _give_up(self, row: ClaimedMessage, interface: Interface | None) -> list[PendingDelivery]:
        """End a message without reading it: in each of its tries the process died, or the end could not be written.

        Nothing is written but plain values: what the message says may be what stands against it.
        """
        log.error("given up: in each of %s tries its process died, or its end could not be written", self._tries)
        text = FAILED.format(reference=row.reference)
        parts = interface.presenter.parts(text) if interface is not None else []

        async def work(connection: AsyncConnection) -> list[PendingDelivery]:
            await self._inbox.end(connection, row, None, InboxStatus.DEAD, "It could not be ended in any of its tries.")
            await self._outbox.add_texts(connection, row, parts, "")
            return await self._outbox.begin(connection, row.conversation_id)

        return await self._database.run_write(work)

    async def _answer(
        self, row: ClaimedMessage, lead: Message, agent: Agent, interface: Interface, slot: TurnSlot
    ) -> tuple[TurnJournal, Message, TurnOutcome]:
        """Answers a message; and, where the agent is one for that, what else its sender writes meanwhile."""
        journal, when_busy = TurnJournal(self._database, row), agent.when_busy
        if when_busy is WhenBusy.QUEUE or not may_be_joined(lead) or await self._is_answer(row, lead):
            return journal, lead, await self._outcome(row, lead, agent, interface, journal, slot)

        async def parse(payload: str) -> Message | None:
            found = await interface.parse(payload)
            chosen, found = self._router.select(found) if found is not None else (agent, None)
            return found if chosen is agent else None

        collector = MessageCollector(self._inbox, row, parse, partial(self._is_answer, row), self._timings)
        while True:
            message = await collector.collect(lead)
            outcome = self._outcome(row, message, agent, interface, journal, slot)
            if when_busy is WhenBusy.COLLECT or not collector.is_open:
                return journal, message, await outcome
            if (answered := await _unless(outcome, collector.interruption(message))) is not None:
                return journal, message, answered
            log.info("%s wrote more, and is answered together", message.sender)
            journal = TurnJournal(self._database, row, is_rerun=True)

    async def _end(self, row: ClaimedMessage, status: InboxStatus, error: str = "") -> None:
        async with self._database.write() as connection:
            await self._inbox.end(connection, row, None, status, error)

    async def _outcome(
        self,
        row: ClaimedMessage,
        message: Message,
        agent: Agent,
        interface: Interface,
        journal: TurnJournal,
        slot: TurnSlot,
    ) -> TurnOutcome:
        if (answered := await self._answered(row, message)) is not None:
            return answered
        if message.command is not None:
            return await self._command(message, agent)
        if (confirmed := await self._confirmed(message)) is not None:
            return confirmed
        if not message.text:  # a bare mention is a greeting
            return TurnOutcome(ATTACHMENTS_UNREAD if message.attachments else sentences.greeting(agent))
        try:
            return await self._run(row, message, agent, interface, journal, slot)
        except ConsentRequiredError as needed:
            log.info("parked until %s has connected %s", message.sender, needed.provider)
            await journal.retract()
            return TurnOutcome(sign_in=needed.provider, parked=needed)
        except ApprovalRequiredError as needed:
            log.info("parked until %s has said whether %s may be called", message.sender, needed.tool)
            return TurnOutcome(parked=needed)
        except (LeaseLostError, DatabaseUnavailableError):
            raise
        except CredentialsRefusedError as refusal:
            return TurnOutcome(str(refusal))
        except TurnTimeoutError:
            log.error("the turn took longer than %s s", self._timings.turn)  # noqa: TRY400
            return self._failed(row, TOO_SLOW, f"The turn took longer than {self._timings.turn} s.", journal)
        except Exception as error:  # whatever a model or a tool raises, the log says why
            helps = may_pass(error) and not journal.tool_raised and not isinstance(error, CallNotRepeatedError)
            if helps and row.attempts < self._tries:
                log.warning("the turn failed and is tried again: %s", describe(error))
                return TurnOutcome(retry=True, error=describe(error))
            log.exception("the turn failed")
            return self._failed(row, FAILED, describe(error), journal)

    def _failed(self, row: ClaimedMessage, sentence: str, error: str, journal: TurnJournal) -> TurnOutcome:
        text = _with_ambiguous(sentence.format(reference=row.reference), journal)
        return TurnOutcome(text, status=InboxStatus.DEAD, error=error)

    async def _run(
        self,
        row: ClaimedMessage,
        message: Message,
        agent: Agent,
        interface: Interface,
        journal: TurnJournal,
        slot: TurnSlot,
    ) -> TurnOutcome:
        presenter = interface.presenter
        await slot.take()  # a turn that was interrupted has freed it
        set_request_context({**self._request_values(message), **get_request_context()})

        async def show(event: TurnEvent) -> None:
            steps.note(event)
            await presenter.show(message, event)

        history = await self._sessions.history(row.conversation_id, message.sender)
        history = await self._summaries.fit(row, message, agent, history)
        await journal.load()
        async with shown_live(presenter.live_view(message), self._timings) as steps:
            played = await self._runner.run(
                agent, message, row.reference, history, show, stream=presenter.streams, journal=journal
            )
            slot.free()  # what is shown live is taken away at the pace of the platform
        text = _with_ambiguous(played.text.strip() or NO_ANSWER, journal)
        if message.attachments:
            text = f"{text}\n\n{ATTACHMENTS_UNREAD}"
        return TurnOutcome(text, list(played.items), private=played.private)

    async def _is_answer(self, row: ClaimedMessage, message: Message) -> bool:
        """Return whether a message is a yes or a no where its sender was asked something."""
        if self._approvals is None or message.anonymous or answer_in(message.text) is None:
            return False
        return any(question.is_here for question in await self._approvals.open(message, row.conversation_id))

    async def _answered(self, row: ClaimedMessage, message: Message) -> TurnOutcome | None:
        """What there is to do where the sender was asked something; `None` if the message is played as any other."""
        if self._approvals is None or message.anonymous:
            return None
        for question in await self._approvals.open(message, row.conversation_id):
            was_read = question.read_since is not None and row.accepted_at > question.read_since
            if question.is_lost:
                await self._approvals.withdraw(question, message.sender_name)
            elif was_read and (answered := await self._reply(row, message, question)) is not None:
                return answered
        return None

    async def _reply(self, row: ClaimedMessage, message: Message, question: Question) -> TurnOutcome | None:
        """Decide what a message means for a question that its sender had read; `None` if nothing."""
        answer = answer_in(message.text)
        if message.conversation.shared:
            is_of_here = question.conversation_id == row.conversation_id
            return TurnOutcome(sentences.ANSWER_IN_PRIVATE) if is_of_here and answer is not None else None
        if not question.is_here:
            return None
        if answer is not None:
            return TurnOutcome(answers=(question, answer if question.is_last else None))
        if message.command in (None, "new") and code_in(message.text) is None:
            assert self._approvals is not None
            await self._approvals.withdraw(question, message.sender_name)
        return None

    async def _confirmed(self, message: Message) -> TurnOutcome | None:
        """What there is to say to a code that was expected."""
        if self._oauth is None or message.anonymous or code_in(message.text) is None:
            return None
        if message.conversation.shared:
            expected = await self._oauth.awaits_code(message.sender)
            return TurnOutcome(sentences.CODE_IN_PRIVATE) if expected else None
        entered = await self._oauth.confirm(message.sender, message.text)
        if entered is None:
            return None
        label = self._oauth.label(entered.provider) if entered.provider is not None else ""
        return TurnOutcome(sentences.entered(entered, label))

    async def _command(self, message: Message, agent: Agent) -> TurnOutcome:
        if message.command == "new":
            return TurnOutcome(sentences.NEW_SESSION, [SessionItem(Role.NEW, "")])
        if message.command == "help":
            return TurnOutcome(sentences.usage(agent))
        if message.command in ("accounts", "disconnect"):
            return TurnOutcome(await self._accounts(message), alone=True)
        if message.argument == HELD_ANSWER:
            return TurnOutcome()
        if message.argument and self._oauth is not None:
            provider = self._oauth.redeem(message.argument, message.sender)
            return TurnOutcome(sentences.NOT_YOURS) if provider is None else TurnOutcome(sign_in=provider)
        return TurnOutcome(sentences.greeting(agent))

    async def _accounts(self, message: Message) -> str:
        """Lists the accounts of a person, or ends one."""
        connected = [] if self._oauth is None or message.anonymous else await self._oauth.accounts(message.sender)
        if message.command == "accounts":
            return sentences.accounts(connected)
        wanted = message.argument.casefold()
        chosen = [account for account in connected if wanted in (account.provider, account.label.casefold())]
        if not wanted and len(connected) == 1:
            chosen = connected
        if not chosen or self._oauth is None:
            return sentences.which(connected)
        await self._oauth.disconnect(message.sender, chosen[0].provider)
        return sentences.disconnected(chosen[0].label, chosen[0].account)

    async def _write(
        self, row: ClaimedMessage, message: Message, outcome: TurnOutcome, interface: Interface, journal: TurnJournal
    ) -> list[PendingDelivery]:
        alone = outcome.alone or (outcome.private and self._private_answers is PrivateAnswers.ALONE)
        alone = alone and message.conversation.shared
        text = NOBODY_ALONE if alone and message.anonymous else storable(outcome.text)
        parts = await rendered(interface.presenter, text) if text else []
        if text and not parts:  # markdown of which nothing can be seen, like an empty quote
            parts = interface.presenter.parts(NO_ANSWER)

        async def work(connection: AsyncConnection) -> tuple[Callable[[], None], list[PendingDelivery]]:
            going_on: list[int] = []
            if isinstance(outcome.parked, ApprovalRequiredError):
                await self._inbox.park_for_answer(connection, row, message.sender)
                assert self._approvals is not None
                going_on += await self._approvals.add(connection, row, message, outcome.parked)
            elif outcome.parked is not None:
                await self._inbox.park(connection, row, message.sender, outcome.parked)
            else:
                await self._inbox.end(connection, row, message.sender, outcome.status, outcome.error)
            if outcome.parked is None and outcome.status is InboxStatus.DONE:
                await journal.forget(connection)
            await self._sessions.add(
                connection,
                row.conversation_id,
                row.id,
                message.sender,
                message.sender_name,
                outcome.items,
                private=outcome.private,
            )
            if alone and not message.anonymous:
                await self._outbox.add_private_texts(connection, row, message.sender, parts, message.id)
            else:
                await self._outbox.add_texts(connection, row, parts, message.id)
            if outcome.answers is not None and self._approvals is not None:
                going_on += await self._approvals.take(connection, *outcome.answers)
            if outcome.sign_in is not None:
                await self._outbox.add_sign_in(
                    connection, row, message.sender, message.sender_name, outcome.sign_in, message.id
                )
            if not message.conversation.shared:
                released = await self._outbox.release(connection, message.sender)
                going_on += released
                if message.argument == HELD_ANSWER and not released:
                    await self._outbox.add_texts(connection, row, interface.presenter.parts(NOTHING_HELD), message.id)
            unsent = await self._outbox.begin(connection, row.conversation_id)
            return await self._inbox.resume(connection, going_on), unsent

        committed, unsent = await self._database.run_write(work)
        committed()
        return unsent


async def _unless(
    outcome: Coroutine[Any, Any, TurnOutcome], interruption: Coroutine[Any, Any, None]
) -> TurnOutcome | None:
    """What a turn comes to, unless it is interrupted: then it is cancelled."""
    running, interrupting = asyncio.create_task(outcome), asyncio.create_task(interruption)
    try:
        await asyncio.wait((running, interrupting), return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else interrupting.result()
    finally:
        for task in (running, interrupting):
            task.cancel()
        await asyncio.gather(running, interrupting, return_exceptions=True)


def _with_ambiguous(text: str, journal: TurnJournal) -> str:
    tools = " and ".join(dict.fromkeys(f"`{tool}`" for tool in journal.ambiguous))
    return f"{text}\n\n{INTERRUPTED.format(tools=tools)}" if tools else text
