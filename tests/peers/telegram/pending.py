"""The updates that wait until the bot takes them: https://core.telegram.org/bots/api#getting-updates

The descriptions of the errors are those of Telegram's own server, https://github.com/tdlib/telegram-bot-api.
"""

import asyncio
import time
from collections.abc import Sequence

from peers.emulate.control import Json
from peers.telegram.chats import ApiError

KEPT = 24 * 60 * 60  # seconds for which Telegram keeps an update
MOST = 100  # updates in one answer of getUpdates
#: kinds of updates that a bot gets only if `allowed_updates` names them
OPT_IN = {"chat_member", "message_reaction", "message_reaction_count"}

OTHER_POLL = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_SET_MEANWHILE = "terminated by setWebhook request"
WEBHOOK_SET = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


def conflict(description: str) -> ApiError:
    return ApiError(409, f"Conflict: {description}")


class PendingUpdates:
    """The updates that the bot has not confirmed, oldest first. Use it only in the event loop of the server."""

    def __init__(self) -> None:
        self.allowed: Sequence[str] = ()  #: the last `allowed_updates`, of a webhook or of getUpdates
        self._updates: list[tuple[float, Json]] = []  # each with the time of its arrival
        self._poll: asyncio.Future[None] | None = None  # the call of getUpdates that waits
        self._passed = 0.0  # seconds

    def __len__(self) -> int:
        return len(self._kept())

    @property
    def is_polled(self) -> bool:
        """Whether a call of getUpdates waits."""
        return self._poll is not None and not self._poll.done()

    def allows(self, update: Json) -> bool:
        """Return whether the bot gets an update of this kind."""
        kind = next(name for name in update if name != "update_id")
        return kind in self.allowed if self.allowed else kind not in OPT_IN

    def add(self, update: Json) -> None:
        """Keep an update for the bot. A kind that the bot did not ask for at this moment is dropped."""
        if self.allows(update):
            self._updates.append((time.monotonic() + self._passed, update))
            if self._poll is not None and self.is_polled:
                self._poll.set_result(None)

    def first(self) -> Json | None:
        """Return the oldest update; `None` if there is none."""
        return next(iter(self._kept()), None)

    def confirm(self, offset: int) -> None:
        """Forget the updates before an offset. A negative one counts from the end."""
        updates = self._kept()
        kept = updates[offset:] if offset < 0 else [each for each in updates if each["update_id"] >= offset]
        self._updates = [each for each in self._updates if each[1] in kept]

    def clear(self) -> None:
        self._updates.clear()

    def pass_time(self, seconds: float) -> None:
        """Behave from now on as if some time had passed."""
        self._passed += seconds

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Json]:
        """Wait until there are updates, and return them: https://core.telegram.org/bots/api#getupdates

        Raises:
            ApiError: 409 if another call begins meanwhile, or a webhook is set.
        """
        self.end_poll(OTHER_POLL)
        self.confirm(offset)
        if not self._kept() and timeout > 0:
            self._poll = asyncio.get_running_loop().create_future()
            waiting = self._poll
            await asyncio.wait([waiting], timeout=timeout)
            if waiting.done():
                waiting.result()
            waiting.cancel()
        return self._kept()[: min(max(limit, 1), MOST)]

    def end_poll(self, description: str) -> None:
        """End the call of getUpdates that waits, if there is one, with an error."""
        if self._poll is not None and self.is_polled:
            self._poll.set_exception(conflict(description))

    def _kept(self) -> list[Json]:
        oldest = time.monotonic() + self._passed - KEPT
        return [update for arrived, update in self._updates if arrived > oldest]
