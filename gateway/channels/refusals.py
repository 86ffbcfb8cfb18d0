"""Log and remember why webhooks are refused, because the platforms do not tell the operator."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.exceptions import HTTPException

from oauth.errors import UnderstudyError

LINE_INTERVAL = 60.0  # seconds between two lines about one reason, because anybody may send requests
LONGEST_HINT = 500  # characters
MALFORMED = "it is malformed"

log = logging.getLogger(__name__)


class WebhookRefusedError(UnderstudyError, HTTPException):
    """A webhook is refused. The log says why; the HTTP response has only the status.

    Args:
        status_code: the status of the response.
        reason: what is wrong, in fixed words that contain nothing from the request.
        hint: what the operator can do, and which setting to check.
    """

    def __init__(self, status_code: int, reason: str, hint: str) -> None:
        super().__init__(status_code)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Refusal:
    """A webhook that was refused.

    Args:
        at: aware, in UTC.
        status_code: the status of the response.
        reason: what was wrong, in fixed words.
    """

    at: datetime
    status_code: int
    reason: str


class RefusalLog:
    """Logs why webhooks of a channel are refused, with at most one line per minute for each reason.

    Args:
        channel: the channel's name.
        interval: seconds between two lines about one reason.

    Attributes:
        last: the last webhook that was refused, for `understudy status`; `None` if there was none.
    """

    last: Refusal | None = None

    def __init__(self, channel: str, interval: float = LINE_INTERVAL) -> None:
        self._channel = channel
        self._interval = interval
        self._next: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}

    @contextmanager
    def refusals_logged(self) -> Iterator[None]:
        """Log the `HTTPException` that the block raises, and raise it again."""
        try:
            yield
        except WebhookRefusedError as error:
            self.add(error.status_code, error.reason, error.hint)
            raise
        except HTTPException as error:
            self.add(error.status_code, f"it was answered {error.status_code}", error.detail)
            raise

    def note(self, status_code: int, reason: str) -> None:
        """Remember a webhook that was refused.

        Args:
            reason: what was wrong, in fixed words that contain nothing from the request.
        """
        self.last = Refusal(datetime.now(UTC), status_code, reason)

    def add(self, status_code: int, reason: str, hint: str) -> None:
        """Remember a webhook that was refused, and log it if the last line with its reason is older than `interval`.

        Args:
            reason: as for `WebhookRefusedError`.
            hint: as for `WebhookRefusedError`.
        """
        self.note(status_code, reason)
        now = time.monotonic()
        if now < self._next.get(reason, 0.0):
            self._unlogged[reason] = self._unlogged.get(reason, 0) + 1
            return
        self._next[reason] = now + self._interval
        unlogged = self._unlogged.pop(reason, 0)
        more = f" ({unlogged} more since the last line)" if unlogged else ""
        log.warning("a webhook for %s was refused: %s%s. %s", self._channel, reason, more, hint[:LONGEST_HINT])
