"""Read updates by long polling, for a gateway without a public address."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import telegram
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from gateway.channels import EventNotAcceptedError, Host, MalformedEventError
from gateway.channels.requests import parse_json
from gateway.logs import describe
from interfaces.tasks import OwnedTasks
from interfaces.telegram.errors import wait_of
from interfaces.telegram.request import TelegramRequest

POLL = 30  # seconds for which Telegram holds a call that has no update to return
CALL_GRACE = 15.0  # seconds that a call may take in addition
CONFLICT_PAUSE = 10.0  # seconds before the next poll, if another program takes the updates
LONGEST_PAUSE = 30.0  # seconds between two calls that fail
ANSWERED_WITHIN = 30.0  # seconds for the answer to the press of a button

CONFLICT = "another program takes the updates of the bot"

NOT_COMMITTED = (EventNotAcceptedError, OperationalError, OSError)  # the update can be taken later

T = TypeVar("T")

#: What is left to do after an update was committed, like the answer to the press of a button.
Rest = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


class Poller:
    """Reads the updates of a bot with getUpdates, in one of all processes that take events.

    https://core.telegram.org/bots/api#getupdates: Telegram keeps an update until a call with a higher offset confirms
    it. The offset moves on only after an update was committed, so that an update which a process could not commit is
    read again by the next one.

    Args:
        request: the HTTP client for the polls.
        kinds: the kinds of updates to ask for.
        take: takes an update, given its fields and its payload, and returns what is left to do after that.
        token_setting: the name of the setting with the bot's token.
        conflict_pause: seconds before the next poll, if another program takes the updates.
        longest_pause: the longest pause in seconds between two calls that fail.

    Attributes:
        outage: why no updates arrive, in a few words; `None` if they do, or if another process polls.
    """

    def __init__(
        self,
        client: telegram.Bot,
        request: TelegramRequest,
        kinds: Sequence[str],
        take: Callable[[Mapping[str, Any], str], Awaitable[Rest | None]],
        token_setting: str,
        *,
        conflict_pause: float = CONFLICT_PAUSE,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._client = client
        self._request = request
        self._kinds = json.dumps(list(kinds))
        self._take = take
        self._token_setting = token_setting
        self._conflict_pause = conflict_pause
        self._growing_pause = wait_exponential_jitter(max=longest_pause)
        self._calls = AsyncRetrying(wait=self._pause, before_sleep=self._tell)
        self._commits = AsyncRetrying(
            retry=retry_if_exception_type(NOT_COMMITTED), wait=self._pause, before_sleep=self._tell_of_commit
        )
        self._tasks = OwnedTasks()
        self.outage: str | None = None

    @asynccontextmanager
    async def polling(self, host: Host, name: str) -> AsyncIterator[None]:
        """Read updates while the block runs. Updates that are not committed when it ends stay with Telegram.

        Args:
            name: the name of the lease, under which one process polls.
        """
        task = asyncio.create_task(self._run(host, name), name=f"polling of {name}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._tasks.stop()
            self.outage = None

    async def _run(self, host: Host, name: str) -> None:
        try:
            # Only at the start, and not when this process takes over: another one may have set a webhook since.
            await self._call(self._client.delete_webhook)
            await host.exclusively(name, self._poll)
        except Exception:
            log.exception("the polling of Telegram has failed: restart the gateway")
            self.outage = "polling has failed"

    async def _poll(self) -> None:
        log.info("this process reads the updates of the bot %s from Telegram", self._client.token.partition(":")[0])
        offset = 0
        try:
            while True:
                for update in await self._call(partial(self._get_updates, offset)):
                    await self._take_one(update)
                    offset = update["update_id"] + 1
        finally:
            self.outage = None  # if another process takes over

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call Telegram until it answers, with growing pauses."""
        answer: T = await self._calls(call)
        self.outage = None
        return answer

    async def _get_updates(self, offset: int) -> list[dict[str, Any]]:
        """Return the updates from an offset on, as they came. Wait for the next one if there is none.

        Raises:
            TelegramError: if Telegram refuses the call or cannot be reached.
            TimeoutError: if the whole answer takes too long.
        """
        # After a failure, a call that returns at once shows that Telegram can be reached again. If another program
        # polls, it would show nothing: each of two programs ends the calls of the other.
        timeout = POLL if self.outage in (None, CONFLICT) else 0
        query = urlencode({"offset": offset, "timeout": timeout, "allowed_updates": self._kinds})
        async with asyncio.timeout(POLL + 2 * CALL_GRACE):
            # Not by Bot.get_updates, which raises for all updates if it cannot read one of them.
            found = await self._request.post(
                f"{self._client.base_url}/getUpdates?{query}", read_timeout=POLL + CALL_GRACE
            )
        if not isinstance(found, list) or not all(map(_is_numbered, found)):
            raise TelegramError("The answer is not a list of updates.")
        return found

    async def _take_one(self, update: Mapping[str, Any]) -> None:
        """Take an update, and try again until it is committed. Skip it if it cannot be read."""
        number = update["update_id"]
        try:
            fields, payload = parse_json(json.dumps(update).encode())
            rest: Rest | None = await self._commits(self._take, fields, payload)
        except (MalformedEventError, HTTPException) as error:
            log.warning("update %s was skipped because it is malformed: %s", number, describe(error))
        except Exception:  # a bug, which must not keep the bot from the next update
            log.exception("update %s was skipped", number)
        else:
            if rest is not None:
                self._tasks.start("the answer to the press of a button", _run(rest), ANSWERED_WITHIN)

    def _pause(self, state: RetryCallState) -> float:
        """Return the seconds to wait after a try."""
        match _error_of(state):
            case RetryAfter() as error:
                return wait_of(error)
            case EventNotAcceptedError(retry_after=seconds):
                return seconds
            case Conflict():
                return self._conflict_pause
        return self._growing_pause(state)

    def _tell(self, state: RetryCallState) -> None:
        """Log why a call failed, once for all tries of the call."""
        error, advice = _error_of(state), "It is tried again."
        match error:
            case Conflict():
                self.outage = CONFLICT
                advice = (
                    "Stop that program, or give it a bot of its own. If it has set a webhook, restart this gateway, "
                    "which removes the webhook, or set UNDERSTUDY_BASE_URL to get the updates by a webhook."
                )
            case InvalidToken():
                self.outage = f"Telegram rejects {self._token_setting}"
                advice = "Set it to the token that https://t.me/BotFather shows, and restart the gateway."
            case RetryAfter():
                self.outage = "Telegram asks to wait"
            case _:
                self.outage = "Telegram cannot be reached"
        if state.attempt_number == 1:
            log.warning("no updates arrive from Telegram, as %s: %s. %s", self.outage, describe(error), advice)

    def _tell_of_commit(self, state: RetryCallState) -> None:
        if state.attempt_number == 1:
            log.warning("an update was not committed, and is tried again: %s", describe(_error_of(state)))


def _is_numbered(update: object) -> bool:
    return isinstance(update, dict) and isinstance(update.get("update_id"), int)


async def _run(rest: Rest) -> None:
    await rest()


def _error_of(state: RetryCallState) -> BaseException:
    """Return the error of a try that failed."""
    assert state.outcome is not None
    error = state.outcome.exception()
    assert error is not None
    return error
