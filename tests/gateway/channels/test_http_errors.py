"""The meaning of HTTP clients' errors for a delivery, and the time that platforms ask to wait."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from gateway.channels.errors import DeliveryAmbiguousError, DeliveryRefusedError, RetryLaterError
from gateway.channels.http_errors import delivery_errors, retry_after
from gateway.retries import LONGEST_WAIT, SHORTEST_WAIT, UNKNOWN_WAIT

WHERE = ConnectionKey("api.test", 443, True, True, None, None, None)


def caused(error: Exception, cause: Exception) -> Exception:
    """Return an error with a cause, as a library raises it that wraps the errors of its HTTP client."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ClientConnectorError(WHERE, OSError("refused")), ConnectionError),
        (aiohttp.ConnectionTimeoutError("slow"), ConnectionError),
        (httpx.ConnectError("refused"), ConnectionError),
        (httpx.ConnectTimeout("slow"), ConnectionError),
        (httpx.PoolTimeout("busy"), ConnectionError),
        (caused(RuntimeError("wrapped"), httpx.ConnectError("refused")), ConnectionError),
        (aiohttp.ServerDisconnectedError(), DeliveryAmbiguousError),
        (aiohttp.ClientOSError("reset"), DeliveryAmbiguousError),
        (httpx.ReadTimeout("slow"), DeliveryAmbiguousError),
        (ConnectionResetError("reset"), DeliveryAmbiguousError),
        (TimeoutError(), DeliveryAmbiguousError),
        (ValueError("no JSON"), DeliveryAmbiguousError),
        (KeyError("refused by the platform"), DeliveryRefusedError),
        (RetryLaterError(3), RetryLaterError),
    ],
    ids=repr,
)
def test_an_error_says_whether_something_may_have_been_sent(error: Exception, expected: type[Exception]) -> None:
    def meaning(error: Exception) -> Exception | None:
        return DeliveryRefusedError("no") if isinstance(error, KeyError) else None

    with pytest.raises(expected) as raised, delivery_errors("Stage", meaning):
        raise error
    assert type(raised.value) is expected


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


def test_without_a_header_the_wait_is_the_shortest_usual_one() -> None:
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
def test_a_wait_that_a_channel_asks_for_is_bounded(asked: float, seconds: float) -> None:
    assert RetryLaterError(asked).seconds == seconds
