"""The log: its formats, the shortening of long records, and the masking of secrets."""

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from gateway.request_context import PERSONAL, get_request_context
from gateway.settings import LogFormat, LogSettings
from oauth.masking import mask
from toolkits.text import storable

FORMAT = "%(asctime)s %(levelname)-7s %(name)s%(request)s: %(message)s"

OWN_PACKAGES = ("gateway", "interfaces", "oauth", "toolkits")

MAX_ERROR_LENGTH = 500  # characters
MAX_LINES = 200  # of one record
MAX_LINE_LENGTH = 2000  # characters

# Libraries whose INFO and DEBUG records have bodies, or addresses with codes and tokens, or do not help an operator.
QUIET_LIBRARIES = (
    "httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "requests_oauthlib", "oauthlib", "google", "googleapiclient",
    "telegram", "slack_sdk", "slack_bolt", "twilio", "openai", "alembic", "psycopg", "uvicorn",
)  # fmt: skip

# Error codes are not masked: short numbers, SQLSTATEs and words, like 63016, 57P01 and invalid_auth.
_ERROR_CODE = r"(?-i:\d{1,5}|[0-9A-Z]{5}|[a-z]+(?:_[a-z]+)*)(?![\w/.~-])"
_SECRETS = re.compile(
    rf"""(?P<keep>
        \b(?:code|state)["']?\s*[=:]\s*["']?(?!{_ERROR_CODE})
      | \b(?:code_verifier|access_token|refresh_token|id_token|client_secret|ticket|token)["']?\s*[=:]\s*["']?
      | \bBearer\s+ | \bBasic\s+ | /bot\d+: | \bxox[a-z]- | \bxapp-
    )(?P<secret>[^\s"'&,}}]+)""",
    re.VERBOSE | re.IGNORECASE,
)


class RedactingFormatter(logging.Formatter):
    """A formatter that adds the request context and masks secrets: see `redact`.

    It leaves out the middle of a record that is too long, like the traceback of an endless recursion.
    """

    def format(self, record: logging.LogRecord) -> str:
        values = " ".join(f"{name}={value}" for name, value in _request_values().items())
        record.request = f" [{values}]" if values else ""
        return _clean(super().format(record))


class RedactingJSONFormatter(JsonFormatter):
    """A formatter that does the same with JSON: one object on each line.

    The values of the request context are fields with names in lower case, and so is what a record has as `extra`.
    """

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        for name, value in _request_values().items():
            log_data.setdefault(name.lower(), value)
        return {name: _clean_value(value) for name, value in log_data.items()}


def _request_values() -> Mapping[str, Any]:
    return {name: value for name, value in get_request_context().items() if name not in PERSONAL}


def _clean(text: str) -> str:
    return redact(_shorten(mask(text)))


def _clean_value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_clean_value(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float, datetime)) else _clean(str(value))


def _shorten(text: str) -> str:
    lines = [line if len(line) <= MAX_LINE_LENGTH else f"{line[:MAX_LINE_LENGTH]}…" for line in text.split("\n")]
    if len(lines) > MAX_LINES:
        left_out = len(lines) - MAX_LINES
        half = MAX_LINES // 2
        lines[half:-half] = [f"… {left_out} lines left out …"]
    return "\n".join(lines)


def redact(text: str) -> str:
    """Mask the secrets among the settings, and all that looks like an authorization code, an OAuth state or a token."""
    return _SECRETS.sub(r"\g<keep>***", mask(text))


def describe(error: BaseException) -> str:
    """Return an error as one line without secrets, for the log and for the database row of the step that failed."""
    text = " ".join(storable(f"{type(error).__name__}: {error}").split())
    return redact(mask(text)[:MAX_ERROR_LENGTH])


def configure_logging() -> None:
    """Log to standard error. Commands call this; an application that mounts the gateway has its own configuration.

    Libraries never log below INFO, because their DEBUG records have bodies of requests.

    Raises:
        SettingError: if UNDERSTUDY_LOG_LEVEL or UNDERSTUDY_LOG_FORMAT is malformed.
    """
    settings = LogSettings()
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    is_json = settings.log_format is LogFormat.JSON
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingJSONFormatter() if is_json else RedactingFormatter(FORMAT))
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=True)
    for name in OWN_PACKAGES:
        logging.getLogger(name).setLevel(level)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # the gateway logs its failures itself
