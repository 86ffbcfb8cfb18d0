"""Retries: whether an attempt that failed is repeated, and when."""

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Bounds of the seconds for which the gateway sends nothing to a platform that asks it to wait.
SHORTEST_WAIT = 1.0
LONGEST_WAIT = 3600.0
UNKNOWN_WAIT = 5.0  # seconds, where the platform does not say how long

# Errors in a program, which no retry helps.
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
    """Return whether a retry may help: not after a programming error, nor after most of the HTTP statuses 4xx.

    The libraries of model providers keep the status in the error's `status_code`.
    """
    if isinstance(error, _PROGRAMMING_ERRORS):
        return False
    status = getattr(error, "status_code", None)
    return not isinstance(status, int) or not 400 <= status < 500 or status in _TRANSIENT_STATUSES


def next_try(tries: int, longest_pause: float) -> datetime:
    """Return the time of the next try: 1, 2, 4 … seconds from now, with a jitter of a quarter.

    Args:
        tries: the number of tries so far.
        longest_pause: the most seconds until the next try, before the jitter.
    """
    pause = min(2.0 ** max(tries - 1, 0), longest_pause)
    return datetime.now(UTC) + timedelta(seconds=pause * random.uniform(0.75, 1.25))  # noqa: S311 - not for secrets


def bounded_wait(seconds: float) -> float:
    """Return the seconds that a platform asks the gateway to wait, bounded to between a second and an hour."""
    bounded = min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
    return UNKNOWN_WAIT if math.isnan(bounded) else bounded


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that `Retry-After` asks to wait for, as a number or a date (RFC 9110, section 10.2.3).

    They are at least one and at most an hour; five where the header is missing or makes no sense.
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
