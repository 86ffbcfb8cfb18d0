import json
from typing import Any

from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from gateway.retries import UNKNOWN_WAIT, bounded_wait


class TelegramRequest(HTTPXRequest):
    """The library's HTTP client, which takes the answers of the Bot API alone, and any `retry_after`."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Return an answer of Telegram's, with a `retry_after` between a second and an hour.

        https://core.telegram.org/bots/api#making-requests, https://core.telegram.org/bots/api#responseparameters

        Raises:
            TelegramError: if it is no such answer, but a proxy's page for instance.
        """
        try:
            answer = json.loads(payload)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise TelegramError("The answer is not one of the Bot API.")
        parameters = answer.get("parameters")
        if isinstance(parameters, dict) and "retry_after" in parameters:
            asked = parameters["retry_after"]
            parameters["retry_after"] = bounded_wait(asked) if isinstance(asked, (int, float)) else UNKNOWN_WAIT
        return answer
