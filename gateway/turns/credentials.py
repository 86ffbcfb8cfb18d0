"""Give the tools of a turn the credentials of the turn's sender."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.runs.calls import NO_CALL, calling, with_outer
from gateway.storage.database import DatabaseUnavailableError
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth import ConsentRequiredError, CredentialsRefusedError, OAuthCoordinator, PermissionDeclinedError
from toolkits import Message, ToolError

LOOP_BLOCKED = (
    "A tool's thread waits for the event loop, but a coroutine blocks the loop. A coroutine must await its threads "
    "(asyncio.to_thread); the end of a `with ThreadPoolExecutor()` block in a coroutine blocks the loop."
)

log = logging.getLogger(__name__)

T = TypeVar("T")

GIVEN = "given with the request"  # the name of the account if a host application passed the credential


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """A credential that a tool call was given.

    Args:
        account: the account that the credential belongs to.
        call_id: the id of the call; `None` if it is not known.
    """

    provider: str
    account: str
    call_id: str | None


class TurnCredentials:
    """Gives the tools of one turn the stored credentials of its sender, until the turn is over.

    `refused`, `asking` and `stopped` are set even if a tool or an engine swallows the exception.

    Attributes:
        uses: the credentials that were given, in order. The answer of a turn that used one is private.
        open_calls: the ids of the tool calls that are running.
        reading_calls: the ids of read-only calls, which may be cut off.
        refused: the ids of the calls that got no credential because their person has to sign in first.
        asking: the ids of the calls that wait for an answer to a question.
        stopped: why the turn cannot continue: `ConsentRequiredError`, `AnswerRequiredError`,
            `CredentialsRefusedError`, `TurnStoppedError`, `LeaseLostError` or `DatabaseUnavailableError`; `None` if it
            can.

    Args:
        oauth: provides the stored credentials; `None` if no toolkit needs an account.
        given: credentials by provider, which a host application passed for this turn.
        on_stop: is called when `stopped` is set.
    """

    def __init__(
        self,
        oauth: OAuthCoordinator | None,
        message: Message,
        given: Mapping[str, Any] | None = None,
        on_stop: Callable[[], object] = lambda: None,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        self._oauth = oauth
        self._message = message
        self._given = dict(given or {})
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._over = False
        self._ended = Future[None]()  # done when the turn is stopped or over; threads wait for it
        self.uses: list[CredentialUse] = []
        self.open_calls: set[str] = set()
        self.reading_calls: set[str] = set()
        self.refused: set[str] = set()
        self.asking: set[str] = set()
        self.stopped: Exception | None = None

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        """Return the credentials of the turn's sender, as `TurnContext.credentials` does."""
        if self._over:
            raise CredentialsRefusedError("This turn is over.")
        if provider in self._given:
            self.uses.append(CredentialUse(provider, GIVEN, calling.get()))
            return self._given[provider]
        try:
            granted = await self._stored(provider, scopes, renew=renew)
        except (ConsentRequiredError, CredentialsRefusedError, DatabaseUnavailableError) as reason:
            self.stop(reason)
            if isinstance(reason, ConsentRequiredError):
                self._note_refused()
            raise
        except asyncio.CancelledError:  # a framework may cancel the other calls when one fails
            if isinstance(self.stopped, ConsentRequiredError):
                self._note_refused()
            raise
        self.uses.append(CredentialUse(provider, granted.account, calling.get()))
        return granted.credentials

    def stop(self, reason: Exception) -> None:
        """Stop the turn for a reason, even if the engine swallows the exception."""
        self.stopped = self.stopped or reason
        self._end_waiting()
        self._on_stop()

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        """Return credentials to a tool in a thread, which waits for them until the turn is stopped or over.

        Raises:
            RuntimeError, TimeoutError: see `wait_in_thread`.
        """
        try:
            return self.wait_in_thread(self.credentials(provider, scopes, renew=renew), timeout)
        except ConsentRequiredError:
            self._note_refused()
            raise

    def wait_in_thread(self, coroutine: Coroutine[Any, Any, T], timeout: float) -> T:
        """Run a coroutine in the turn's event loop, and wait for it in this thread until the turn is stopped or over.

        Raises:
            RuntimeError: if the event loop is blocked.
            TimeoutError: if the coroutine has not ended after `timeout` seconds.
            Exception: what the coroutine raises, or the reason for which the turn was stopped.
        """
        if self._ended.done():
            coroutine.close()
        else:
            asked = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            try:
                self._wait(asked, timeout)
            except Exception:
                asked.cancel()
                raise
            if asked.done():
                return asked.result()
        raise self.stopped or CredentialsRefusedError("This turn is over.")

    def _wait(self, asked: Future[Any], timeout: float) -> None:
        """Wait in this thread until `asked` has a result, or the turn is stopped or over."""
        deadline = time.monotonic() + timeout
        while True:
            is_alive, remaining = threading.Event(), max(deadline - time.monotonic(), 0)
            self._loop.call_soon_threadsafe(is_alive.set)
            done, _ = wait((asked, self._ended), min(self._timings.loop_blocked, remaining), FIRST_COMPLETED)
            if done:
                return
            if remaining <= self._timings.loop_blocked:
                raise TimeoutError("The turn's deadline passed before there was an answer.")
            if not is_alive.is_set():
                raise RuntimeError(LOOP_BLOCKED)

    def _note_refused(self) -> None:
        """Note that the current call, and the calls around it, got no credential because of a missing sign-in."""
        if call_id := self.current_call():
            self.refused.update(with_outer(call_id))

    def current_call(self) -> str | None:
        """Return the id of the call that runs this code; `NO_CALL` if there is none, and `None` if it is not known.

        The context does not have it in a thread that a tool started itself. Then it is the innermost running call, if
        all other running calls are around that one.
        """
        call_id, running = calling.get(), set(self.open_calls)
        if call_id is not None:
            return call_id
        return next((each for each in running if running <= set(with_outer(each))), None if running else NO_CALL)

    def _end_waiting(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        if self._over or provider in self._given:
            return not self._over
        if self._oauth is None or self._message.anonymous:
            return False
        return await self._oauth.is_connected(self._message.sender, provider, scopes)

    def accounts(self, call_id: str) -> list[str]:
        """Return the accounts whose credentials a call has used."""
        return list(dict.fromkeys(use.account for use in self.uses if use.call_id == call_id))

    def end(self) -> None:
        """Give no more credentials: the turn is over."""
        self._over = True
        self._end_waiting()
        self._given.clear()

    async def _stored(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        if self._message.anonymous:
            raise CredentialsRefusedError(
                "I cannot tell who you are when you write as a group or a channel, so I use nobody's account. "
                "Write as yourself to use yours."
            )
        if self._oauth is None:
            log.warning(
                "a tool asked for credentials of %r, which is not configured: pass the provider to its toolkit, or to "
                "Agent(auth=…)",
                provider,
            )
            raise CredentialsRefusedError("No account can be connected here.")
        try:
            return await self._oauth.credentials(self._message.sender, provider, scopes, renew=renew)
        except PermissionDeclinedError as declined:
            raise ToolError(str(declined)) from None
