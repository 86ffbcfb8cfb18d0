"""Retries: after which errors they may help, and the pauses between them."""

from datetime import UTC, datetime

import pytest

from gateway.retries import RetryPolicy, is_transient


class HTTPError(Exception):
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionError(), True),
        (TimeoutError(), True),
        (KeyError(), False),
        (TypeError(), False),
        (HTTPError(401), False),
        (HTTPError(429), True),
        (HTTPError(503), True),
    ],
    ids=repr,
)
def test_a_retry_may_help_after_some_errors(error: Exception, transient: bool) -> None:
    assert is_transient(error) == transient


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1), (1, 1), (2, 2), (4, 8), (20, 60)])
def test_the_pause_doubles_with_each_try_up_to_a_limit(tries: int, seconds: float) -> None:
    before = datetime.now(UTC)
    pause = (RetryPolicy(5, 60).next_try(tries) - before).total_seconds()
    assert 0.75 * seconds <= pause < 1.25 * seconds + 1
