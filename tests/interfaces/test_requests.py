"""What platforms ask to wait for, in every form that a header has."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gateway.channels.errors import RetryLaterError
from gateway.channels.requests import retry_after
from gateway.retries import LONGEST_WAIT, SHORTEST_WAIT, UNKNOWN_WAIT


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("3", 3.0),
        ("2.5", 2.5),
        (" 7 ", 7.0),
        ("0", SHORTEST_WAIT),
        ("-5", SHORTEST_WAIT),
        ("99999999999999", LONGEST_WAIT),
        ("9" * 5000, LONGEST_WAIT),
        ("inf", LONGEST_WAIT),
        ("nan", UNKNOWN_WAIT),
        ("soon", UNKNOWN_WAIT),
        ("", UNKNOWN_WAIT),
        ("Wed, 21 Oct 2015 07:28:00 GMT", SHORTEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Wed, 21 Oct 99999 07:28:00 GMT", UNKNOWN_WAIT),
    ],
)
def test_a_wait_is_bounded_whatever_the_header_says(given: str, seconds: float) -> None:
    assert retry_after({"RETRY-AFTER": given}) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0200"])
def test_a_date_is_the_time_to_wait_until(zone: str) -> None:
    at = datetime.now(UTC) + timedelta(seconds=60) + (timedelta(hours=2) if zone == "+0200" else timedelta())
    given = format_datetime(at, usegmt=True).replace("GMT", zone)
    assert 50 < retry_after({"Retry-After": given}) <= 60


def test_no_header_is_the_shortest_usual_wait() -> None:
    assert retry_after({}) == UNKNOWN_WAIT


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (10**400, LONGEST_WAIT),
        (1e300, LONGEST_WAIT),
        (-(10**400), SHORTEST_WAIT),
        (float("nan"), UNKNOWN_WAIT),
        (30, 30),
    ],
)
def test_a_channel_may_ask_for_anything(asked: float, seconds: float) -> None:
    assert RetryLaterError(asked).seconds == seconds
