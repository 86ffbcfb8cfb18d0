"""Deliver the rows of the outbox: send them in order, retry after errors, and give up after too many tries."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Row, func
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import StrayExitError, exits_contained
from gateway.channels.errors import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    PreviewGoneError,
    RecipientUnreachableError,
    RetryLaterError,
)
from gateway.channels.presenter import Delivery, Presenter, SignIn
from gateway.inbox.claims import TOO_OLD, LeaseLostError
from gateway.inbox.people import OPTED_OUT
from gateway.logs import describe
from gateway.outbox.cards import card_of, close_card, recipient, send_card
from gateway.outbox.outbox import Outbox, template_of
from gateway.outbox.unsent import Destination, PendingDelivery
from gateway.request_context import request_context
from gateway.retries import RetryPolicy
from gateway.settings import AmbiguousSends
from gateway.storage.tables import DeliveryStatus, OutboxKind, OutboxStatus
from gateway.storage.tables import outbox as outbox_table
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth import Identity, OAuthCoordinator
from toolkits import Conversation

UNDELIVERED = "Sorry, I had something to say here that could not be delivered (reference {reference})."
TAKEN_OVER = "The address belongs to another person by now."
DROPPED_AMBIGUOUS = "It is not known whether it arrived, and UNDERSTUDY_AMBIGUOUS_SENDS is drop."

MAX_WITH_KEY = 1000  # failures that are remembered, so that each one is logged once for a message of several parts

_QUESTIONS = (OutboxKind.QUESTION, OutboxKind.PRIVATE_QUESTION)
_PRIVATE = (OutboxKind.PRIVATE_TEXT, OutboxKind.PRIVATE_FILES, OutboxKind.PRIVATE_QUESTION)
_TEMPLATES = (OutboxKind.TEMPLATE, OutboxKind.LATE_TEMPLATE)
_SEEN_TWICE = (OutboxKind.TEXT, OutboxKind.FILES, OutboxKind.NOTICE, OutboxKind.QUESTION, *_PRIVATE, *_TEMPLATES)
_SENT_LATE = (OutboxKind.TEXT, OutboxKind.FILES, OutboxKind.QUESTION, OutboxKind.SIGN_IN)
_FILES = (OutboxKind.FILES, OutboxKind.PRIVATE_FILES)
_WITH_KEY = (*_SEEN_TWICE, OutboxKind.SIGN_IN)  # the kinds whose sending method gets a key

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """When a delivery is given up.

    Args:
        oldest: the age up to which a delivery is still sent.
        ambiguous_sends: what to do with a text if nobody can tell whether it was sent.
    """

    retries: RetryPolicy
    oldest: timedelta
    ambiguous_sends: AmbiguousSends


class Deliverer:
    """Sends the rows of the outbox, one after the other in each conversation.

    A row is marked as `sending` before the platform is called. A row whose process died in this state, or for which the
    platform's response was lost, is ambiguous: the platform is asked whether the message arrived, and if it cannot
    tell, the policy decides.

    Args:
        presenters: by channel.
        oauth: makes the sign-in links; `None` if no toolkit needs an account.
    """

    def __init__(
        self,
        outbox: Outbox,
        presenters: Mapping[str, Presenter],
        oauth: OAuthCoordinator | None,
        policy: DeliveryPolicy,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._outbox = outbox
        self._presenters = presenters
        self._oauth = oauth
        self._policy = policy
        self._retries = policy.retries
        self._timings = timings
        self._longest_report = timedelta(seconds=timings.sent_report)
        self._reported: deque[tuple[Any, ...]] = deque(maxlen=MAX_WITH_KEY)

    async def begin(self, connection: AsyncConnection, conversation_id: int) -> list[PendingDelivery]:
        """Mark the first unsent row of a conversation as `sending`, if it may be sent at once.

        The transaction that adds the row calls this, which saves a second transaction that only marks it.

        Returns:
            The unsent rows of the conversation, in order, for `deliver`.
        """
        unsent = await self._outbox.unsent_in(connection, conversation_id)
        if unsent and self._may_be_sent(unsent[0]):
            unsent[0] = await self._begin(connection, unsent[0])
        return unsent

    async def _begin(self, connection: AsyncConnection, pending: PendingDelivery) -> PendingDelivery:
        """Mark a row as `sending`, unless its call has to wait because of the platform's rate limits."""
        row, destination = pending.row, pending.destination
        try:
            wait = self._reserve(row, destination.conversation)
        except RetryLaterError:
            return pending
        if wait > 0:
            return replace(pending, reserved=time.monotonic() + wait)
        row = await self._outbox.mark_in(connection, row, OutboxStatus.SENDING, **self._try(row, destination))
        return replace(pending, row=row, begun=True)

    async def deliver(self, conversation_id: int, unsent: Sequence[PendingDelivery] | None = None) -> None:
        """Send the unsent rows of a conversation in order, up to one that has to be tried again later.

        Args:
            unsent: the unsent rows, if the caller knows them.
        """
        if unsent is None:
            unsent = await self._outbox.unsent(conversation_id)
        try:
            for pending in unsent:
                row, destination = pending.row, pending.destination
                if row.status == OutboxStatus.RETRYING:
                    return
                if row.status == OutboxStatus.LATE and not self._has_written(destination):
                    continue
                with request_context(_values_of(row, destination.conversation)):
                    if pending.begun:
                        may_go_on = await self._attempt(row, destination)
                    else:
                        may_go_on = await self._deliver(row, destination, pending.reserved)
                if not may_go_on:
                    return
        except LeaseLostError:
            log.warning("the deliveries of conversation %s were taken over by a worker or a report", conversation_id)

    def _may_be_sent(self, pending: PendingDelivery) -> bool:
        row, destination = pending.row, pending.destination
        is_fresh = row.status == OutboxStatus.WAITING and not row.ambiguous
        is_late = row.kind not in _TEMPLATES and self._is_too_late(destination)
        waits = destination.pause is not None or self._waits_for_report(destination)
        return is_fresh and not waits and not is_late and self._reason_against(row, destination) is None

    def _waits_for_report(self, destination: Destination) -> bool:
        since = destination.unreported_since
        return since is not None and datetime.now(UTC) - since < self._longest_report

    async def _deliver(self, row: Row[Any], destination: Destination, reserved: float | None) -> bool:
        """Send one row, if it may be sent now. Return whether the next row may be sent.

        Args:
            reserved: see `PendingDelivery`.
        """
        if row.status == OutboxStatus.SENDING:  # the process that was sending it died
            row = await self._outbox.mark(row, OutboxStatus.SENDING, ambiguous=True)
        if row.status == OutboxStatus.LATE:  # the person has written
            row = await self._outbox.mark(row, OutboxStatus.WAITING, renewed_at=datetime.now(UTC))
        if destination.conversation.channel not in self._presenters:
            return await self._put_off(row, destination)
        if (until := destination.pause) is not None:
            return await self._retry(row, until, row.error, row.attempts)
        if (reason := self._reason_against(row, destination)) is not None:
            return await self._give_up(row, destination, reason)
        if row.kind not in _TEMPLATES and self._is_too_late(destination):
            return await self._put_off_until_written(row, destination)
        if self._is_reported(row, destination) and await self._outbox.hold_back(row, self._longest_report):
            return False
        again = False
        if row.ambiguous:
            try:
                with exits_contained("the platform's library"):
                    was_sent = await self._was_sent(row, destination)
            except RetryLaterError as error:  # only the look-up has to wait: no try is counted, nothing else is paused
                until = datetime.now(UTC) + timedelta(seconds=error.seconds)
                return await self._retry(row, until, describe(error), row.attempts)
            except Exception as error:  # noqa: BLE001 - whatever the platform's library raises: it is stored and logged
                log.warning("could not look up whether delivery d%s arrived: %s", row.id, describe(error))
                if row.attempts < self._retries.tries:
                    return await self._retry(
                        row, self._retries.next_try(row.attempts), describe(error), row.attempts + 1
                    )
                was_sent = None
            if was_sent:
                await self._mark_sent(row)
                return True
            again = was_sent is None
            if again and self._policy.ambiguous_sends is AmbiguousSends.DROP:
                return await self._give_up(row, destination, DROPPED_AMBIGUOUS)
        try:
            await self._wait(row, destination.conversation, reserved)
        except RetryLaterError as error:  # nobody has refused anything: nothing else is paused
            until = datetime.now(UTC) + timedelta(seconds=error.seconds)
            return await self._retry(row, until, row.error, row.attempts)
        row = await self._outbox.mark(row, OutboxStatus.SENDING, **self._try(row, destination))
        return await self._attempt(row, destination, again=again)

    async def _wait(self, row: Row[Any], conversation: Conversation, reserved: float | None) -> None:
        """Wait for the row's call within the platform's rate limits, before the row is marked as `sending`.

        Only this conversation waits: a delivery takes no slot of a turn. If the process dies meanwhile, the row counts
        as not sent.

        Raises:
            RetryLaterError: if the wait is too long.
        """
        left = self._reserve(row, conversation) if reserved is None else reserved - time.monotonic()
        await asyncio.sleep(max(left, 0.0))

    def _reserve(self, row: Row[Any], conversation: Conversation) -> float:
        """Reserve the call that sends a row; return the seconds until then. A removal is not paced."""
        if row.kind == OutboxKind.REMOVAL:
            return 0.0
        is_edit = row.kind == OutboxKind.CLOSED_QUESTION or "completes" in json.loads(row.body)
        to = recipient(row, conversation) if row.kind in _PRIVATE else None
        try:
            with exits_contained("the channel"):
                return self._presenters[conversation.channel].reserve(conversation, to, is_edit=is_edit)
        except RetryLaterError:
            raise
        except Exception as error:  # noqa: BLE001 - a channel may raise anything; if it cannot send either, that counts
            log.warning("the rate limits for delivery d%s are not known: %s", row.id, describe(error))
            return 0.0

    def _is_reported(self, row: Row[Any], destination: Destination) -> bool:
        presenter = self._presenters[destination.conversation.channel]
        return presenter.reports_delivery and row.kind in _WITH_KEY

    def _try(self, row: Row[Any], destination: Destination) -> dict[str, Any]:
        """Return the values of a row whose next try begins."""
        values = {"attempts": row.attempts + 1, "error": None}
        if self._is_reported(row, destination):
            values |= {"delivery_key": token_urlsafe(16), "delivery_status": None}
        return values

    async def _mark_sent(self, row: Row[Any], **values: Any) -> None:
        if row.delivery_key is not None:  # the platform may have reported more already
            status = func.coalesce(outbox_table.c.delivery_status, DeliveryStatus.QUEUED)
            values = {"delivery_status": status, **values}
        await self._outbox.mark(row, OutboxStatus.SENT, sent_at=datetime.now(UTC), **values)

    async def _put_off(self, row: Row[Any], destination: Destination) -> bool:
        """Have a row whose channel is not configured tried again later; after its last try, make it a dead letter."""
        reason = f"The channel {destination.conversation.channel!r} is not configured, so nothing can be sent there."
        if row.attempts < self._retries.tries:
            return await self._retry(row, self._retries.next_try(row.attempts), reason, row.attempts + 1)
        log.error("delivery d%s was given up after %s tries: %s", row.id, row.attempts, reason)
        return await self._give_up(row, destination, reason)

    async def _attempt(self, row: Row[Any], destination: Destination, *, again: bool = False) -> bool:
        """Send one row that is marked as `sending`. Return whether the next row may be sent."""
        try:
            with exits_contained("the platform's library"):
                async with asyncio.timeout(self._timings.delivery):
                    platform_id = await self._send(row, destination.conversation, again=again)
        except Exception as error:  # noqa: BLE001 - whatever the platform's library raises: it is stored and logged
            return await self._fail(row, destination, error)
        await self._mark_sent(row, platform_id=platform_id)
        return True

    def _reason_against(self, row: Row[Any], destination: Destination) -> str | None:
        """Return the reason why a row may not be sent any more; `None` if it may."""
        if destination.opted_out:
            return OPTED_OUT
        if destination.taken_over:
            return TAKEN_OVER
        is_too_old = datetime.now(UTC) - (row.renewed_at or row.created_at) > self._policy.oldest
        return TOO_OLD if is_too_old else None

    def _is_too_late(self, destination: Destination) -> bool:
        """Return whether the time within which the platform takes messages to a person has passed."""
        presenter, last = self._presenters.get(destination.conversation.channel), destination.last_accepted_at
        if presenter is None or presenter.reply_window is None:
            return False
        return last is None or datetime.now(UTC) - last > presenter.reply_window

    def _has_written(self, destination: Destination) -> bool:
        """Return whether rows that were put off until somebody writes can be handled now."""
        is_configured = destination.conversation.channel in self._presenters
        return is_configured and (destination.opted_out or not self._is_too_late(destination))

    async def _put_off_until_written(self, row: Row[Any], destination: Destination) -> bool:
        """Put a row off until the person writes, and tell them by a template. Without one, make it a dead letter."""
        channel = destination.conversation.channel
        presenter = self._presenters[channel]
        assert presenter.reply_window is not None
        if presenter.late_template is None or row.kind not in _SENT_LATE:
            hours = round(presenter.reply_window.total_seconds() / 3600)
            reason = f"{channel} takes messages only within {hours} hours of the person's last message."
            return await self._give_up(row, destination, reason)
        log.info("delivery d%s is sent when its recipient writes", row.id)
        await self._outbox.put_off_until_written(row, destination, presenter.late_template)
        return True

    async def _was_sent(self, row: Row[Any], destination: Destination) -> bool | None:
        """Return whether a row arrived at the platform; `None` if the platform cannot tell.

        Rows that do no harm when they are sent twice count as not arrived.
        """
        if row.delivery_status is not None:
            return True  # the platform has reported on this try
        if row.kind not in _SEEN_TWICE or "completes" in json.loads(row.body):
            return False  # a sign-in link or a note may come twice, and a preview may be completed twice
        conversation = destination.conversation
        identity = recipient(row, conversation) if row.kind in _PRIVATE else None
        text, since = json.loads(row.body)["text"], row.renewed_at or row.created_at
        files = await self._outbox.files(row) if row.kind in _FILES else ()
        card = card_of(row, text) if row.kind in _QUESTIONS else None
        template = template_of(row) if row.kind in _TEMPLATES else None
        delivery = Delivery(_delivery_key(row), conversation, text, identity, since, files, card, template)
        try:
            async with asyncio.timeout(self._timings.delivery):
                return await self._presenters[conversation.channel].was_sent(delivery)
        except DeliveryRefusedError as refusal:
            log.info("%s does not tell whether delivery d%s arrived: %s", conversation.channel, row.id, refusal)
            return None

    async def _fail(self, row: Row[Any], destination: Destination, error: Exception) -> bool:
        """Decide what becomes of a row that could not be sent. Return whether the next row may be sent."""
        channel = destination.conversation.channel
        if isinstance(error, DeliveryRefusedError):
            if row.kind == OutboxKind.REMOVAL:
                log.info("%s refused to remove a preview (delivery d%s): %s", channel, row.id, error)
                await self._outbox.mark(row, OutboxStatus.SENT, sent_at=datetime.now(UTC))
                return True
            if row.kind in _PRIVATE:
                log.info("delivery d%s is held until its recipient writes to the bot directly: %s", row.id, error)
                await self._outbox.mark(row, OutboxStatus.HELD)
                return True
            log.log(self._log_level(row), "%s refused delivery d%s: %s", channel, row.id, describe(error))
            notice = not isinstance(error, RecipientUnreachableError)
            return await self._give_up(row, destination, f"{channel} refused it: {error}", notice=notice)
        if isinstance(error, RetryLaterError):
            until = datetime.now(UTC) + timedelta(seconds=error.seconds)
            place = "" if error.is_for_tenant else error.place or destination.conversation.id
            tenant = destination.conversation.tenant
            log.info("%s asks to send nothing to %s for %s s", channel, place or tenant, error.seconds)
            await self._outbox.pause(channel, tenant, place, until)
            return await self._retry(row, until, describe(error), row.attempts - 1)  # it does not count as a try
        ambiguous = row.ambiguous or isinstance(error, (DeliveryAmbiguousError, TimeoutError, StrayExitError))
        if isinstance(error, AssertionError) or row.attempts >= self._retries.tries:
            level = self._log_level(row, logging.ERROR)
            log.log(level, "delivery d%s was given up after %s tries", row.id, row.attempts, exc_info=error)
            return await self._give_up(row, destination, describe(error), notice=True, ambiguous=ambiguous)
        log.log(self._log_level(row), "delivery d%s is tried again: %s", row.id, describe(error))
        return await self._retry(
            row, self._retries.next_try(row.attempts), describe(error), row.attempts, ambiguous=ambiguous
        )

    def retry_at(self, row: Row[Any], error: Exception) -> datetime | None:
        """Return when a row that failed after the platform took it is sent again; `None` if it is given up."""
        if isinstance(error, DeliveryRefusedError) or row.attempts >= self._retries.tries:
            return None
        asked = error.seconds if isinstance(error, RetryLaterError) else 0
        return max(self._retries.next_try(row.attempts), datetime.now(UTC) + timedelta(seconds=asked))

    def notice(self, row: Row[Any], channel: str) -> Sequence[str]:
        """Return the parts of the notice that a row could not be delivered; none if people do not miss it."""
        if row.kind in (OutboxKind.NOTICE, OutboxKind.REMOVAL, *_TEMPLATES):
            return ()
        return self._presenters[channel].parts(UNDELIVERED.format(reference=row.reference))

    def _log_level(self, row: Row[Any], level: int = logging.WARNING) -> int:
        """Return the level for logging a failure: DEBUG if another part of the same message has failed already."""
        failed = (row.reference or row.id, row.attempts, row.renewed_at)
        if failed in self._reported:
            return logging.DEBUG
        self._reported.append(failed)
        return level

    async def _retry(self, row: Row[Any], due_at: datetime, error: str | None, attempts: int, **values: Any) -> bool:
        """Have a row tried again later. Return `False`: the next rows of its conversation wait."""
        await self._outbox.mark(row, OutboxStatus.RETRYING, due_at=due_at, error=error, attempts=attempts, **values)
        return False

    async def _give_up(
        self, row: Row[Any], destination: Destination, reason: str, *, notice: bool = False, **values: Any
    ) -> bool:
        """Make a row a dead letter. Return `True`: the next rows of its conversation do not wait.

        Args:
            notice: whether to say in the conversation that something could not be delivered.
        """
        if row.kind == OutboxKind.CLOSED_QUESTION:  # whoever presses a button of the old card learns what was decided
            await self._outbox.mark(row, OutboxStatus.DROPPED, error=reason, **values)
            return True
        parts = self.notice(row, destination.conversation.channel) if notice else ()
        await self._outbox.give_up(row, reason, parts, **values)
        return True

    async def _send(self, row: Row[Any], conversation: Conversation, *, again: bool) -> str | None:
        """Send one row. Return the platform's id of the message, if it has one that is needed later."""
        presenter, body, key = self._presenters[conversation.channel], json.loads(row.body), _delivery_key(row)
        text = body.get("text", "")
        if again and row.kind in _SEEN_TWICE:
            text = presenter.mark_repeated(text).strip()
        if row.kind in _FILES:
            files = await self._outbox.files(row)
            if not files:
                raise DeliveryRefusedError("its files are not in the database any more")
            if row.kind == OutboxKind.FILES:
                return await presenter.send_files(conversation, files, text, body["reply_to"], key=key)
            to = (recipient(row, conversation), conversation)
            return await presenter.send_private_files(*to, files, text, first=body["first"], key=key)
        if row.kind in _TEMPLATES:
            return await presenter.send_template(conversation, template_of(row), key=key)
        rated = body.get("rated", False)
        if (completes := body.get("completes")) is not None:
            complete = presenter.complete_rated_preview if rated else presenter.complete_preview
            try:
                return await complete(conversation, completes, text, key=key)
            except PreviewGoneError:
                del body["completes"]  # stored first: a new message, unlike a completed preview, must not be sent twice
                await self._outbox.mark(row, OutboxStatus.SENDING, body=json.dumps(body, ensure_ascii=False))
        if row.kind in (OutboxKind.TEXT, OutboxKind.NOTICE):
            send = presenter.send_rated_text if rated else presenter.send_text
            return await send(conversation, text, body["reply_to"], key=key)
        if row.kind == OutboxKind.PRIVATE_TEXT:
            identity = recipient(row, conversation)
            return await presenter.send_private_text(identity, conversation, text, first=body["first"], key=key)
        if row.kind == OutboxKind.REMOVAL:
            await presenter.remove_preview(conversation, body["removes"], datetime.fromisoformat(body["since"]))
            return None
        if row.kind in _QUESTIONS:
            return await send_card(presenter, row, conversation, text, key)
        if row.kind == OutboxKind.CLOSED_QUESTION:
            await close_card(presenter, await self._outbox.card(body["card"]), conversation, text)
        elif row.kind == OutboxKind.PRIVATE_NOTE:
            identity, reached = recipient(row, conversation), not await self._outbox.is_held(row)
            card = card_of(row) if row.question_id is not None else None
            return await presenter.send_private_note(
                identity, conversation, body["reply_to"], reached=reached, card=card
            )
        else:
            await presenter.send_sign_in(self._sign_in(body, conversation, key))
        return None

    def _sign_in(self, body: Mapping[str, Any], conversation: Conversation, key: str) -> SignIn:
        oauth, provider = self._oauth, body["provider"]
        assert oauth is not None, "the outbox has a sign-in link, but no toolkit needs an account any more"
        identity = Identity(conversation.channel, body["tenant"], body["user_id"])
        return SignIn(
            identity=identity,
            conversation=conversation,
            reply_to=body["reply_to"],
            label=oauth.label(provider),
            link=lambda: oauth.sign_in_link(identity, provider, body.get("name", "")),
            ticket=oauth.ticket(identity, provider),
            key=key,
        )


def _values_of(row: Row[Any], conversation: Conversation) -> Mapping[str, str]:
    """Return the values of a delivery for the log. It may belong to another turn than the one that has just ended."""
    values = {"CHANNEL": conversation.channel, "TENANT": conversation.tenant, "CONVERSATION_ID": conversation.id}
    return values | ({"REFERENCE": row.reference} if row.reference is not None else {})


def _delivery_key(row: Row[Any]) -> str:
    return row.delivery_key or f"{row.reference}-{row.id}"
