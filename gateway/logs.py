import logging
import re

from gateway.request_context import get_request_context
from toolkits.text import storable

FORMAT = "%(asctime)s %(levelname)-7s %(name)s%(request)s: %(message)s"

ERROR_LENGTH = 500  # characters that are kept of one
MOST_LINES = 200  # of one record
LINE_LENGTH = 2000  # characters

# Libraries whose lower levels print bodies, and addresses with codes and tokens in them, or tell an operator nothing.
QUIET = ("httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "requests_oauthlib", "oauthlib", "google", "twilio",
         "telegram", "slack_sdk", "slack_bolt", "openai", "alembic", "googleapiclient",
         "psycopg", "uvicorn")  # fmt: skip

# An error's code is a short number, five characters of SQL's, or a word: 63016, 57P01, invalid_auth.
_ERROR_CODE = r"(?-i:\d{1,5}|[0-9A-Z]{5}|[a-z]+(?:_[a-z]+)*)(?![\w/.~-])"
_SECRETS = re.compile(
    rf"""(?P<keep>
        \b(?:code|state)["']?\s*[=:]\s*["']?(?!{_ERROR_CODE})
      | \b(?:code_verifier|access_token|refresh_token|id_token|client_secret|token)["']?\s*[=:]\s*["']?
      | \bBearer\s+ | \bBasic\s+ | /bot\d+: | \bxox[a-z]-
    )(?P<secret>[^\s"'&,}}]+)""",
    re.VERBOSE | re.IGNORECASE,
)


class RedactingFormatter(logging.Formatter):
    """Adds the request context to a line, and takes out what looks like a code, a state or a token.

    A record that is too long, like the traceback of an endless recursion or a page of a proxy, is cut in its middle.
    """

    def format(self, record: logging.LogRecord) -> str:
        values = " ".join(f"{name}={value}" for name, value in get_request_context().items())
        record.request = f" [{values}]" if values else ""
        return redact(_shortened(super().format(record)))


def _shortened(text: str) -> str:
    lines = [line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}…" for line in text.split("\n")]
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES
        half = MOST_LINES // 2
        lines[half:-half] = [f"… {left_out} lines are left out …"]
    return "\n".join(lines)


def redact(text: str) -> str:
    """Takes out what looks like a code, a state or a token."""
    return _SECRETS.sub(r"\g<keep>***", text)


def describe(error: BaseException) -> str:
    """An error in one line, as it is stored with what failed."""
    text = " ".join(storable(f"{type(error).__name__}: {error}").split())
    return redact(text[:ERROR_LENGTH])


def configure_logging() -> None:
    """Sends the log of a process that the command line started to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # what goes wrong there we say ourselves
