"""Drain conversations, one message at a time."""

import asyncio
from collections.abc import Mapping

from gateway.cancellation import exits_contained
from gateway.inbox.claims import ClaimedMessage
from gateway.inbox.dispatch import TurnSlot
from gateway.inbox.inbox import Inbox
from gateway.outbox.delivery import Deliverer
from gateway.request_context import request_context
from gateway.storage.database import DatabaseUnavailableError
from gateway.turns.player import TurnPlayer


class Drain:
    """Handles the next message of a conversation: sends what is unsent, plays the message, and sends its answer.

    It returns whether there was a message. The slot is taken while a message is played, and free while something is
    sent.
    """

    def __init__(self, inbox: Inbox, deliverer: Deliverer, player: TurnPlayer) -> None:
        self._inbox = inbox
        self._deliverer = deliverer
        self._player = player

    async def __call__(self, conversation_id: int, slot: TurnSlot) -> bool:
        claim = await self._inbox.claim(conversation_id)
        row = claim.message
        if row is None:
            if claim.unsent:
                slot.free()
                await self._deliverer.deliver(conversation_id)
            return False
        with request_context(_values_of(row)):
            try:
                with exits_contained("the turn"):
                    if claim.unsent:
                        slot.free()
                        await self._deliverer.deliver(conversation_id)
                        await slot.take()
                    pending = await self._player.play(row, slot)
            except asyncio.CancelledError:
                await asyncio.shield(self._inbox.release(row, counted=False))
                raise
            except DatabaseUnavailableError:
                await self._inbox.release(row, counted=False)
                raise
            except Exception:
                await self._inbox.release(row, counted=True)
                raise
            finally:
                self._inbox.let_go(row)
            slot.free()
            await self._deliverer.deliver(conversation_id, pending)
        return True


def _values_of(row: ClaimedMessage) -> Mapping[str, str]:
    """Return the values of a message for the request context. The sender is added once the message is read."""
    where = row.conversation
    return {
        "REFERENCE": row.reference,
        "CHANNEL": where.channel,
        "TENANT": where.tenant,
        "CONVERSATION_ID": where.id,
        "SESSION_ID": str(row.conversation_id),
    }
