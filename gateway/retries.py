"""When something that failed is tried again."""

import math
import random
from datetime import UTC, datetime, timedelta

# Seconds for which a platform is sent nothing when it asks for that, whatever it asks for.
SHORTEST_WAIT = 1.0
LONGEST_WAIT = 3600.0
UNKNOWN_WAIT = 5.0  # where it does not say how long

# What a program raises that is wrong. It does not pass by itself.
_MISTAKES = (
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
)
_PASSING_STATUS = frozenset({408, 409, 425, 429})


def may_pass(error: BaseException) -> bool:
    """Whether trying again may help: not after a mistake in a program, nor when a server says that we are wrong.

    The libraries of model providers have an HTTP status as `status_code` of their errors.
    """
    if isinstance(error, _MISTAKES):
        return False
    status = getattr(error, "status_code", None)
    return not isinstance(status, int) or not 400 <= status < 500 or status in _PASSING_STATUS


def next_try(tries: int, longest_pause: float) -> datetime:
    """Return when to try again what was tried so often: after 1, 2, 4 … seconds, with jitter.

    Args:
        longest_pause: seconds until the next try at most, without the jitter of a quarter.
    """
    pause = min(2.0 ** max(tries - 1, 0), longest_pause)
    return datetime.now(UTC) + timedelta(seconds=pause * random.uniform(0.75, 1.25))  # noqa: S311 - not for secrets


def bounded_wait(seconds: float) -> float:
    """Return how long to send nothing where a platform asks for so many seconds: a second to an hour."""
    bounded = min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
    return UNKNOWN_WAIT if math.isnan(bounded) else bounded
