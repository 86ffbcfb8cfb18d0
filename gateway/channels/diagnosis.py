"""The findings of `understudy doctor`, and the checks that several channels share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial

import httpx

MOST_DRIFT = 30.0  # seconds between this machine's clock and a platform's
CALL_TIMEOUT = 10.0  # seconds


class Mark(StrEnum):
    """The seriousness of a finding."""

    OK = "ok"
    #: The gateway runs, but something may not work, or not yet.
    WARNING = "warning"
    #: The gateway does not start, or a part of it does not work.
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `understudy doctor`.

    Args:
        subject: what was checked, in a few words, beginning with the channel if it is about one.
        text: what was found and, unless it is ok, what to do. It contains no secret.
        setting: the environment variable that is missing or malformed, if it is about one.
    """

    mark: Mark
    subject: str
    text: str
    setting: str | None = None


Found = Callable[[str, str], Finding]

ok: Found = partial(Finding, Mark.OK)
warning: Found = partial(Finding, Mark.WARNING)
problem: Found = partial(Finding, Mark.PROBLEM)


async def check_clock(subject: str, url: str) -> Finding:
    """Compare the clock of this machine with the `Date` header of a server's answer (RFC 9110, section 6.6.1).

    Platforms sign requests with the time, and the gateway refuses those that are too old.
    """
    try:
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT) as client:
            answer = await client.head(url)
        there = parsedate_to_datetime(answer.headers["date"])
    except httpx.HTTPError as error:
        return warning(subject, f"{url} does not tell the time ({type(error).__name__}): check this machine's network.")
    except (LookupError, ValueError):
        return warning(subject, f"{url} answers without the time, so that the clock could not be checked.")
    drift = (datetime.now(UTC) - there).total_seconds()
    if abs(drift) <= MOST_DRIFT:
        return ok(subject, "This machine's clock is right.")
    way = "ahead" if drift > 0 else "behind"
    return problem(subject, f"This machine's clock is {abs(drift):.0f} s {way}: synchronize it, for example by NTP.")
