"""Decide whether and when a failed attempt is retried."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# How long the gateway sends nothing to a platform that asks it to wait, in seconds.
SHORTEST_WAIT = 1.0
LONGEST_WAIT = 3600.0
UNKNOWN_WAIT = 5.0  # if the platform does not say how long

# Mistakes in a program, which raise again on every try.
_PROGRAMMING_ERRORS = (
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
)
_TRANSIENT_STATUSES = frozenset({408, 409, 425, 429})


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may succeed after an error.

    It may not after a programming error and after most HTTP statuses 4xx. The libraries of model providers keep the
    status in the error's `status_code`.
    """
    if isinstance(error, _PROGRAMMING_ERRORS):
        return False
    status = getattr(error, "status_code", None)
    return not isinstance(status, int) or not 400 <= status < 500 or status in _TRANSIENT_STATUSES


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is tried, and with which pauses.

    Args:
        tries: how often it is tried before it becomes a dead letter.
        longest_pause: the longest backoff in seconds, before the jitter.
    """

    tries: int
    longest_pause: float

    def next_try(self, tries: int) -> datetime:
        """Return the time of the next try: an exponential backoff of 1, 2, 4 … seconds, with a jitter of 25 %.

        Args:
            tries: the number of tries so far.
        """
        pause = min(2.0 ** max(tries - 1, 0), self.longest_pause)
        return datetime.now(UTC) + timedelta(seconds=pause * random.uniform(0.75, 1.25))  # noqa: S311 - not for secrets


def bounded_wait(seconds: float) -> float:
    """Return the seconds to wait when a platform asks for a pause: at least a second, at most an hour."""
    bounded = min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
    return UNKNOWN_WAIT if math.isnan(bounded) else bounded


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds to wait that a `Retry-After` header asks for (RFC 9110, section 10.2.3).

    The header has a number or a date. The result is at least a second and at most an hour, and five seconds if the
    header is missing or malformed.
    """
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        return bounded_wait(float(given))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return UNKNOWN_WAIT
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return bounded_wait((until - datetime.now(UTC)).total_seconds())
