"""Log lines about refused webhooks."""

import logging

import pytest
from starlette.exceptions import HTTPException

from gateway.channels.refusals import RefusalLog, WebhookRefusedError


def refuse(refusals: RefusalLog, error: HTTPException) -> None:
    with pytest.raises(HTTPException), refusals.refusals_logged():
        raise error


def test_each_reason_leaves_one_line_in_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog("stage", interval=60)
    for _ in range(100):
        refuse(refusals, WebhookRefusedError(401, "it is forged", "Look at STAGE_SECRET."))
        refuse(refusals, HTTPException(400, "This is no JSON."))
    assert [record.getMessage() for record in caplog.records] == [
        "a webhook for stage was refused: it is forged. Look at STAGE_SECRET.",
        "a webhook for stage was refused: it was answered 400. This is no JSON.",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_the_next_line_counts_the_refusals_that_were_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog("stage", interval=3600)
    for _ in range(3):
        refuse(refusals, WebhookRefusedError(401, "it is forged", "Look at STAGE_SECRET."))
    refusals._next.clear()  # as after the interval
    refuse(refusals, WebhookRefusedError(401, "it is forged", "Look at STAGE_SECRET."))
    assert "(2 more since the last line)" in caplog.records[-1].getMessage()


def test_a_long_hint_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    refuse(RefusalLog("stage"), WebhookRefusedError(401, "it is forged", "x" * 10_000))
    assert len(caplog.records[0].getMessage()) < 1_000
