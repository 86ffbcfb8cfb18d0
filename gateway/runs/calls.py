"""The tool call that is running: how it is known, and the credentials of a call that only its framework can tell."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from toolkits.context import CredentialSource

calling: ContextVar[str | None] = ContextVar("calling", default=None)
"""The call_id of the running tool call. The audit uses it, and so does the turn, to know which call was refused a
credential. It never decides whose credentials a call is given."""


NO_CALL = ""  # the value of `calling` where certainly no call is running


@contextmanager
def in_call(call_id: str) -> Iterator[None]:
    """Attribute what the block does to a call."""
    outer = calling.set(call_id)
    try:
        yield
    finally:
        calling.reset(outer)


def with_outer(key: str) -> Iterator[str]:
    """Yield the key of a call, then the keys of the calls that it was made in: see `EngineJournal.within`."""
    yield key
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


@dataclass(frozen=True, slots=True)
class CallCredentials:
    """The credentials of a turn, for tools of which the framework, not the context, knows which call is running.

    Args:
        source: the credentials of the turn.
        call_id: returns the id of the call that runs where `call_id` is called, or `None`.
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
