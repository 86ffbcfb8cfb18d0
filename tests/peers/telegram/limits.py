"""Telegram's rate limits."""

import math
import time

from peers.emulate.control import Json
from peers.telegram.chats import ApiError

SHORTEST_GAP = 0.5  # seconds between an edit and the call before it: "about one a second"
BURST = 3  # messages in as many seconds: "short bursts" of new messages pass


class Limits:
    """Telegram's limits on a bot: about one message a second in a chat, 20 a minute in a group, 30 a second in all.

    Edits count, and short bursts of new messages pass:
    https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this. A refusal says how long to wait,
    but not which limit it was: https://core.telegram.org/bots/api#responseparameters
    """

    def __init__(self) -> None:
        self._calls: dict[int, list[float]] = {}

    def check(self, method: str, params: Json) -> None:
        """Count a call.

        Raises:
            ApiError: 429 if it is above the limits.
        """
        if not method.startswith(("send", "edit")) or method == "sendChatAction":
            return
        now, chat = time.monotonic(), params["chat_id"]
        self._calls = {each: [at for at in calls if at > now - 60] for each, calls in self._calls.items()}
        calls = self._calls.setdefault(chat, [])
        of_all = sorted(at for each in self._calls.values() for at in each)
        limits = [(calls, BURST, BURST), (of_all, 30, 1), *([(calls, 20, 60)] if chat < 0 else [])]
        waits = [found[-most] + seconds - now for found, most, seconds in limits if len(found) >= most]
        if method.startswith("edit") and calls:
            waits.append(calls[-1] + SHORTEST_GAP - now)
        if (wait := max(waits, default=0)) > 0:
            raise refusal(math.ceil(wait))
        calls.append(now)


def refusal(seconds: int) -> ApiError:
    """Return the error of a call above a limit."""
    return ApiError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
