"""What the log says, and what it leaves out."""

import logging
from pathlib import Path

import pytest
from stage import IMPATIENT, stage

from gateway.logs import redact
from toolkits import Toolkit, tool


@pytest.mark.parametrize(
    "text",
    [
        "Unable to create record: error code: 63016",
        "Error code: 401 - {'error': {'code': 'invalid_api_key'}}",
        '{"code": 21610, "message": "unsubscribed"}',
        "sqlstate code=57P01",
        "state: running",
    ],
)
def test_the_codes_of_errors_stay_in_the_log(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("/oauth/google/callback?code=4/0AVMBsJ&state=aBcDeFgHiJkL&scope=x", "code=***&state=***&scope=x"),
        ("code=482913", "code=***"),  # as a person types it
        ("code: AbCdEfGhIjKlMnOpQrStUv", "code: ***"),
        ("state=3f9c1a", "state=***"),
        ("'code': '4/P7q7W91a-oMsCeLvIaQm6bTrgtp7'", "'code': '***'"),
    ],
)
def test_the_codes_and_states_of_sign_ins_do_not(text: str, redacted: str) -> None:
    assert redact(text).endswith(redacted)


async def test_a_message_that_is_answered_leaves_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway")
    scene = stage(tmp_path)
    async with scene.open():
        await scene.ask("alice", "hello")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("gateway")]
    assert len(lines) == 1
    assert lines[0].startswith("answered ")


class Broken(Toolkit):
    @tool(read_only=True)
    def fail(self) -> str:
        """Fails, as the network does."""
        raise ConnectionError("no route")


async def test_each_retry_leaves_one_line_and_the_end_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path, [Broken()], settings={"turn_tries": 3}, timings=IMPATIENT)
    async with scene.open():
        assert "reference" in await scene.ask("alice", "call fail")
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.levelname for record in lines] == ["WARNING", "WARNING", "ERROR"]
    assert all("no route" in record.getMessage() and record.exc_info is None for record in lines[:2])
    assert lines[2].exc_info is not None
