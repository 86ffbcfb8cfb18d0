import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from gateway.database import DatabaseUnavailableError
from oauth import ConsentRequired, CredentialsRefused, OAuthCoordinator, PermissionDeclined
from toolkits import Message, ToolError
from toolkits.context import CredentialSource

LOOP_BLOCKED_AFTER = 10.0  # seconds in which the event loop does nothing, until a thread no longer waits for it
LOOP_BLOCKED = (
    "credentials_sync() waits for the event loop, which a coroutine has blocked. A coroutine that waits for a thread "
    "has to await it (asyncio.to_thread); a `with ThreadPoolExecutor()` in a coroutine blocks the loop when it ends."
)

log = logging.getLogger(__name__)

calling: ContextVar[str | None] = ContextVar("calling", default=None)
"""The call_id of the tool that runs: for the audit, and to know which call was refused a credential. It decides nothing
about whose credentials a call is given."""

NO_CALL = ""  # in place of a call_id, where it is known that no call asks


@contextmanager
def in_call(call_id: str) -> Iterator[None]:
    """Say which call asks for credentials in a block."""
    outer = calling.set(call_id)
    try:
        yield
    finally:
        calling.reset(outer)


def with_outer(key: str) -> Iterator[str]:
    """Yield a call, and those that it was made in: see `RunJournal.within`."""
    yield key
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


GIVEN = "given with the request"  # in place of an account, for a credential that a host application passed in


@dataclass(frozen=True, slots=True)
class Asked:
    """A credential that was given: whose it is, and to which call, where that is known."""

    provider: str
    account: str
    call_id: str | None


class TurnCredentials:
    """Gives the tools of one turn the credentials of its sender, from the store, until the turn is over.

    Attributes:
        asked: the credentials that were given, in order. What a turn that asked says is its sender's own.
        open_calls: the tool calls that are under way.
        refused: those that were refused a credential until their person has signed in. It holds whatever a tool or an
            engine makes of the exception.
        stopped: why the turn cannot go on: `ConsentRequired`, `CredentialsRefused`, `LeaseLost` or
            `DatabaseUnavailableError`. It holds whatever a tool or an engine makes of the exception.

    Args:
        given: credentials by provider, passed in by a host application for this turn alone.
        on_stop: is called when `stopped` is set.
    """

    def __init__(
        self,
        oauth: OAuthCoordinator | None,
        message: Message,
        given: Mapping[str, Any] | None = None,
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        self._oauth = oauth
        self._message = message
        self._given = dict(given or {})
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._over = False
        self._ended = Future[None]()  # done when the turn is stopped or over: waited for in threads
        self.asked: list[Asked] = []
        self.open_calls: set[str] = set()
        self.refused: set[str] = set()
        self.stopped: Exception | None = None

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        if self._over:
            raise CredentialsRefused("This turn is over.")
        if provider in self._given:
            self.asked.append(Asked(provider, GIVEN, calling.get()))
            return self._given[provider]
        try:
            granted = await self._stored(provider, scopes, renew=renew)
        except (ConsentRequired, CredentialsRefused, DatabaseUnavailableError) as reason:
            self.stop(reason)
            if isinstance(reason, ConsentRequired):
                self._note_refused()
            raise
        except asyncio.CancelledError:  # by a framework, say, which cancels what runs beside a call that failed
            if isinstance(self.stopped, ConsentRequired):
                self._note_refused()
            raise
        self.asked.append(Asked(provider, granted.account, calling.get()))
        return granted.credentials

    def stop(self, reason: Exception) -> None:
        """Ends the turn, whatever an engine makes of the reason."""
        self.stopped = self.stopped or reason
        self._end_waiting()
        self._on_stop()

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        """Return credentials to a thread, which waits for them until the turn is stopped or over.

        Raises:
            RuntimeError: if the event loop is blocked, so that no credentials can be loaded.
            TimeoutError: if there are none after `timeout` seconds.
        """
        if not self._ended.done():
            coroutine = self.credentials(provider, scopes, renew=renew)
            asked = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            try:
                self._wait(asked, timeout)
            except Exception:
                asked.cancel()
                raise
            if asked.done():
                return asked.result()
        if isinstance(self.stopped, ConsentRequired):
            self._note_refused()
        raise self.stopped or CredentialsRefused("This turn is over.")

    def _wait(self, asked: Future[Any], timeout: float) -> None:
        """Wait in a thread until there is an answer, or the turn is stopped or over."""
        deadline = time.monotonic() + timeout
        while True:
            is_alive, remaining = threading.Event(), max(deadline - time.monotonic(), 0)
            self._loop.call_soon_threadsafe(is_alive.set)
            done, _ = wait((asked, self._ended), min(LOOP_BLOCKED_AFTER, remaining), FIRST_COMPLETED)
            if done:
                return
            if remaining <= LOOP_BLOCKED_AFTER:
                raise TimeoutError("There were no credentials until the turn's deadline.")
            if not is_alive.is_set():
                raise RuntimeError(LOOP_BLOCKED)

    def _note_refused(self) -> None:
        """Note that the call at hand is refused a credential until its person has signed in.

        Where a tool asks in a thread that it made itself, the call may not be known. Then it is the one that is under
        way, if that is one alone, besides those that it was made in.
        """
        call_id, under_way = calling.get(), set(self.open_calls)
        if call_id is None:
            call_id = next((each for each in under_way if under_way <= set(with_outer(each))), None)
        if call_id is not None:
            self.refused.update(with_outer(call_id))

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
        """The accounts whose credentials a call was given."""
        return list(dict.fromkeys(asked.account for asked in self.asked if asked.call_id == call_id))

    def end(self) -> None:
        self._over = True
        self._end_waiting()
        self._given.clear()

    async def _stored(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        if self._message.anonymous:
            raise CredentialsRefused(
                "I cannot tell who you are when you write as a group or a channel, so I use nobody's account. "
                "Write as yourself to use yours."
            )
        if self._oauth is None:
            log.warning("a tool asks for credentials of %r: give its toolkit, or Agent(auth=…), the provider", provider)
            raise CredentialsRefused("No account can be connected here.")
        try:
            return await self._oauth.credentials(self._message.sender, provider, scopes, renew=renew)
        except PermissionDeclined as declined:
            raise ToolError(str(declined)) from None


@dataclass(frozen=True, slots=True)
class CallCredentials:
    """The credentials of a turn for tools whose framework, and not the context, knows which call asks for them.

    Args:
        call_id: returns the call that runs where it is called, if it is one.
    """

    source: CredentialSource
    call_id: Callable[[], str | None]

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        with self._in_call():
            return await self.source.credentials(provider, scopes, renew=renew)

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        with self._in_call():
            return self.source.credentials_sync(provider, scopes, renew=renew, timeout=timeout)

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        return await self.source.is_connected(provider, scopes)

    def _in_call(self) -> AbstractContextManager[None]:
        call_id = self.call_id()
        return in_call(call_id) if call_id is not None else nullcontext()
