"""Which tool call is under way, and the credentials that calls are given."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from oauth import CredentialsRefusedError
from toolkits.context import CredentialSource

calling: ContextVar[str | None] = ContextVar("calling", default=None)
"""The call_id of the tool that runs: for the audit, and to know which call was refused a credential. It decides nothing
about whose credentials a call is given."""


OUTSIDE_TURN = "No account can be used outside of a turn."
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
    """Yield a call, and those that it was made in: see `EngineJournal.within`."""
    yield key
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


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


class NoCredentials:
    """Give no credentials: an agent that is called outside of any turn acts for nobody."""

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        raise CredentialsRefusedError(OUTSIDE_TURN)

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        raise CredentialsRefusedError(OUTSIDE_TURN)

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        return False
