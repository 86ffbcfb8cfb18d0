"""The log: its lines, their length, and the secrets that it masks."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict
from support.stage import IMPATIENT, stage

from gateway.logs import (
    FORMAT,
    MAX_ERROR_LENGTH,
    MAX_LINE_LENGTH,
    MAX_LINES,
    RedactingFormatter,
    RedactingJSONFormatter,
    configure_logging,
    describe,
    redact,
)
from gateway.request_context import request_context
from oauth.errors import SettingError
from oauth.settings import Settings
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
def test_the_codes_of_errors_are_not_masked(text: str) -> None:
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
def test_the_codes_and_states_of_sign_ins_are_masked(text: str, redacted: str) -> None:
    assert redact(text).endswith(redacted)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("token xapp-1-A012-1764000000-0a1b2c is wrong", "token xapp-*** is wrong"),
        ("url='wss://wss.slack.com/link/?ticket=1234-5678&app_id=A1'", "?ticket=***&app_id=A1'"),
    ],
)
def test_the_app_level_token_and_the_tickets_of_slack_are_masked(text: str, redacted: str) -> None:
    assert redact(text).endswith(redacted)


class PigeonSettings(Settings):
    """The settings of a channel that somebody else wrote."""

    model_config = SettingsConfigDict(env_prefix="PIGEON_")

    secret: SecretStr
    coop: str = "coop number one"


def formatted(text: str) -> str:
    return RedactingFormatter("%(message)s").format(logging.LogRecord("a", logging.INFO, "a.py", 1, text, (), None))


def test_the_secrets_of_a_channel_are_masked_wherever_they_are_logged() -> None:
    settings = PigeonSettings(secret="feathers-and-grain")
    text = f"pigeon://{settings.secret.get_secret_value()}@{settings.coop} does not answer"
    masked = "pigeon://***@coop number one does not answer"
    assert formatted(text) == masked
    assert describe(ConnectionError(text)) == f"ConnectionError: {masked}"


def test_a_secret_is_masked_where_a_long_text_is_cut() -> None:
    PigeonSettings(secret="feathers-and-grain")
    for limit, shown in ((MAX_ERROR_LENGTH, lambda text: describe(OSError(text))), (MAX_LINE_LENGTH, formatted)):
        for before in range(limit - 30, limit):
            assert "feathers" not in shown("x" * before + "feathers-and-grain")


def test_a_secret_as_short_as_a_word_is_not_masked() -> None:
    PigeonSettings(secret="message")
    assert formatted("a message was answered") == "a message was answered"


class Adder(Toolkit):
    @tool
    def add(self) -> str:
        """Add."""
        return "3"


async def test_an_answered_message_leaves_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway")
    scene = stage(tmp_path, [Adder()])
    async with scene.open():
        await scene.ask("alice", "call add add")
    (line,) = (record for record in caplog.records if record.name.startswith("gateway"))
    assert re.fullmatch(
        r"answered stage:T1:alice \d+\.\d s after it was accepted: tools: add x2; \d+ tokens", line.message
    )
    fields = {name: line.__dict__[name] for name in ("channel", "person", "tools", "reference")}
    (reference,) = scene.rows("SELECT reference FROM inbox")[0]
    assert fields == {"channel": "stage", "person": "alice", "tools": ["add", "add"], "reference": reference}
    assert line.__dict__["tokens"] > 0
    assert line.__dict__["seconds"] >= 0


@pytest.mark.usefixtures("as_before")
async def test_the_lines_of_a_delivery_have_the_reference_of_its_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_LOG_FORMAT", "json")
    configure_logging()
    scene = stage(tmp_path, timings=IMPATIENT)
    scene.channel.presenter.failures = [ConnectionError("no route")]
    async with scene.open():
        await scene.ask("alice", "hello")
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    (failed,) = (line for line in lines if "is tried again" in line["message"])
    (reference,) = scene.rows("SELECT reference FROM inbox")[0]
    assert (failed["reference"], failed["channel"]) == (reference, "stage")


class Broken(Toolkit):
    @tool(read_only=True)
    def fail(self) -> str:
        """Fail, as the network does."""
        raise ConnectionError("no route")


async def test_each_retry_leaves_one_line_and_the_last_failure_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path, [Broken()], settings={"turn_tries": 3}, timings=IMPATIENT)
    async with scene.open():
        assert "reference" in await scene.ask("alice", "call fail")
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.levelname for record in lines] == ["WARNING", "WARNING", "ERROR"]
    assert all("no route" in record.getMessage() and record.exc_info is None for record in lines[:2])
    assert lines[2].exc_info is not None


def test_a_long_record_loses_its_middle() -> None:
    def endless(depth: int) -> None:
        if depth:
            (lambda: endless(depth - 1))()
        raise ValueError("the reason\n" + "<p>a proxy's page</p>\n" * 10_000 + "x" * 100_000)

    record = logging.LogRecord("a", logging.ERROR, "a.py", 1, "it failed", (), None)
    try:
        endless(300)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    lines = RedactingFormatter("%(message)s%(request)s").format(record).split("\n")
    assert lines[0] == "it failed"
    assert len(lines) <= MAX_LINES + 1
    assert max(map(len, lines)) < 3000
    assert any("lines left out" in line for line in lines)


async def test_a_line_has_the_request_context() -> None:
    record = logging.LogRecord("gateway.turns.player", logging.INFO, "", 1, "hello", None, None)
    personal = {"USER_NAME": "Alice", "LOCALE": "de", "TIMEZONE": "Europe/Berlin"}
    with request_context({"REFERENCE": "4db7b441", "USER_ID": "U1", **personal}):
        assert RedactingFormatter(FORMAT).format(record).endswith("[REFERENCE=4db7b441 USER_ID=U1]: hello")
    assert RedactingFormatter(FORMAT).format(record).endswith("gateway.turns.player: hello")


def fields_of(text: str, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("gateway.logs", logging.INFO, "a.py", 1, text, (), None)
    record.__dict__.update(extra)
    fields: dict[str, object] = json.loads(RedactingJSONFormatter().format(record))
    assert str(fields.pop("time")).endswith("+00:00")
    return fields


def test_a_line_of_json_has_the_request_context_and_the_extra_fields() -> None:
    with request_context({"CHANNEL": "slack", "USER_NAME": "Alice"}):
        assert fields_of("Grüße", seconds=1.5, tools=["search"]) == {
            "level": "INFO", "logger": "gateway.logs", "message": "Grüße", "channel": "slack", "seconds": 1.5,
            "tools": ["search"],
        }  # fmt: skip


def test_every_field_of_a_line_of_json_is_redacted() -> None:
    PigeonSettings(secret="feathers-and-grain")
    found = fields_of('{"access_token": "a1b2"}', url="/bot1:xyz/getMe", body={"a": ["feathers-and-grain"]})
    assert found["message"] == '{"access_token": "***"}'
    assert found["url"] == "/bot1:***"
    assert "feathers" not in json.dumps(found)


def test_a_traceback_is_a_field_of_its_line_of_json() -> None:
    record = logging.LogRecord("a", logging.ERROR, "a.py", 1, "it failed", (), None)
    try:
        raise ConnectionError("Bearer abcdef")
    except ConnectionError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = RedactingJSONFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["exc_info"].endswith("ConnectionError: Bearer ***")


@pytest.fixture
def as_before() -> Iterator[None]:
    """Restore the configuration of the log."""
    root = logging.getLogger()
    handlers, level, levels = root.handlers[:], root.level, {name: each.level for name, each in loggers().items()}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, each in loggers().items():
        each.setLevel(levels.get(name, logging.NOTSET))


def loggers() -> dict[str, logging.Logger]:
    found = logging.getLogger().manager.loggerDict.items()
    return {name: each for name, each in found if isinstance(each, logging.Logger)}


@pytest.mark.usefixtures("as_before")
def test_the_level_of_the_log_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def enabled(level: int) -> list[bool]:
        return [logging.getLogger(name).isEnabledFor(level) for name in ("gateway.turns", "my_tools", "httpx")]

    configure_logging()
    assert enabled(logging.INFO) == [True, True, False]
    monkeypatch.setenv("UNDERSTUDY_LOG_LEVEL", "DEBUG")
    configure_logging()
    assert enabled(logging.DEBUG) == [True, False, False]
    monkeypatch.setenv("UNDERSTUDY_LOG_LEVEL", "error")
    configure_logging()
    assert enabled(logging.WARNING) == [False, False, False]


@pytest.mark.usefixtures("as_before")
def test_the_format_of_the_log_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_LOG_FORMAT", "json")
    configure_logging()
    logging.getLogger("gateway").info("hello")
    assert json.loads(capsys.readouterr().err)["message"] == "hello"
    monkeypatch.setenv("UNDERSTUDY_LOG_FORMAT", "xml")
    with pytest.raises(SettingError, match="UNDERSTUDY_LOG_FORMAT is malformed"):
        configure_logging()
