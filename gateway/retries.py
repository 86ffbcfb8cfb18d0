"""When something that failed is tried again."""

import random
from datetime import UTC, datetime, timedelta

LONGEST_PAUSE = 300.0  # seconds between two tries

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


def next_try(tries: int) -> datetime:
    """When something is tried again that was tried so often: after 1, 2, 4 … seconds, with jitter, at most 300."""
    pause = min(2.0 ** max(tries - 1, 0), LONGEST_PAUSE)
    return datetime.now(UTC) + timedelta(seconds=pause * random.uniform(0.75, 1.25))  # noqa: S311 - not for secrets
