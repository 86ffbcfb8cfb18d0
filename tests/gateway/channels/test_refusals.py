"""Log lines about refused webhooks."""

import logging
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from support.stage import StageChannel, stage

from gateway.channels import MalformedEventError
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


class Misled(StageChannel):
    """A channel whose platform signs malformed requests."""

    def routes(self) -> Sequence[BaseRoute]:
        status = Mount("/stage", routes=[Route("/status", self._receive, methods=["POST"])])
        return [Route("/stage", self._receive, methods=["POST"]), status]

    async def _receive(self, request: Request) -> Response:
        raise MalformedEventError(f"the number is {(await request.body()).decode()}")


async def test_malformed_requests_to_any_address_of_a_channel_leave_one_line_in_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Misled()
    app = Starlette(routes=[Mount("/bots", stage(tmp_path, channel=channel).gateway.asgi())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://bot.test/bots") as client:
        for path in ("/stage/status", "/stage"):
            for number in range(50):
                assert (await client.post(path, content=str(number))).status_code == 400
            assert channel.refusals.last is not None
            assert (channel.refusals.last.status_code, channel.refusals.last.reason) == (400, "it is malformed")
            channel.refusals.last = None
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "a webhook for stage was refused: it is malformed. MalformedEventError: the number is 0"
    ]
