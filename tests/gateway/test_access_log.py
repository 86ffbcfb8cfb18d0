"""An access log has neither the codes nor the states of sign-ins."""

import logging
from typing import Any

import pytest

from gateway.access_log import CallbackFilter

LINES: list[tuple[str, Any]] = [
    ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1:5", "GET", "/oauth/a/callback?state=SECRET&code=4%2FSECRET", "1.1", 200)),
    ("%(h)s %(r)s %(q)s", {"h": "::1", "r": "GET /oauth/a/callback?code=SECRET HTTP/1.1", "q": "state=SECRET"}),
    ('GET /bot/oauth/a/callback?scope=x&code=SECRET&state=SECRET "https://x/?state=SECRET"', None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "args"), LINES)
def test_an_access_log_with_the_filter_has_no_code_and_no_state(message: str, args: Any) -> None:
    given = (args,) if isinstance(args, dict) else args
    record = logging.LogRecord("uvicorn.access", logging.INFO, "x", 1, message, given, None)
    assert CallbackFilter().filter(record) is True
    line = record.getMessage()
    assert "SECRET" not in line
    assert "/callback?" in line
    assert isinstance(record.args, type(args))


@pytest.mark.parametrize("path", ["/files/{}/cat.png", "/chatkit/uploads/{}", "/bot/sign-in/{}"])
def test_an_access_log_with_the_filter_has_no_signature_of_a_file_and_no_sign_in_link(path: str) -> None:
    args = ("127.0.0.1:5", "GET", path.format("SECRET.aSdF-_.x1"), "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "x", 1, '%s - "%s %s HTTP/%s" %d', args, None)
    CallbackFilter().filter(record)
    assert path.format("***") in record.getMessage()
    assert "SECRET" not in record.getMessage()


def test_other_lines_stay_as_they_are() -> None:
    args = ("127.0.0.1:5", "GET", "/orders?postcode=1&estate=2&barcode=3", "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "x", 1, '%s - "%s %s HTTP/%s" %d', args, None)
    CallbackFilter().filter(record)
    assert record.args == args
