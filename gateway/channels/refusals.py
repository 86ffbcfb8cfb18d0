"""Tell the operator about webhooks that are refused: no platform does."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException

from oauth.errors import UnderstudyError

LINE_EVERY = 60.0  # seconds between two lines about one reason, as anybody may send what is refused
LONGEST_HINT = 500  # characters

log = logging.getLogger(__name__)


class WebhookRefusedError(UnderstudyError, HTTPException):
    """A webhook is refused. The operator is told why, and whoever sent it is not.

    Args:
        status_code: of the answer.
        reason: what is wrong with the webhook, in fixed words: nothing of it comes from the request.
        hint: which setting to look at.
    """

    def __init__(self, status_code: int, reason: str, hint: str) -> None:
        super().__init__(status_code)
        self.reason = reason
        self.hint = hint


class RefusalLog:
    """Log why webhooks of a channel are refused, at most one line a minute for each reason.

    Args:
        channel: the channel's name.
        every: seconds between two lines about one reason.
    """

    def __init__(self, channel: str, every: float = LINE_EVERY) -> None:
        self._channel = channel
        self._every = every
        self._next: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    @contextmanager
    def refusals_logged(self) -> Iterator[None]:
        """Log the `HTTPException` that the block raises, and raise it again."""
        try:
            yield
        except WebhookRefusedError as error:
            self._add(error.reason, error.hint)
            raise
        except HTTPException as error:
            self._add(f"it was answered {error.status_code}", error.detail)
            raise

    def _add(self, reason: str, hint: str) -> None:
        now = time.monotonic()
        if now < self._next.get(reason, 0.0):
            self._unsaid[reason] = self._unsaid.get(reason, 0) + 1
            return
        self._next[reason] = now + self._every
        unsaid = self._unsaid.pop(reason, 0)
        more = f" ({unsaid} more since the last line)" if unsaid else ""
        log.warning("a webhook for %s was refused, as %s%s. %s", self._channel, reason, more, hint[:LONGEST_HINT])
