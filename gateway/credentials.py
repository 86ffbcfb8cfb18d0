import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from gateway.database import DatabaseUnavailableError
from oauth import ConsentRequired, CredentialsRefused, OAuthCoordinator, PermissionDeclined
from toolkits import Message, ToolError

log = logging.getLogger(__name__)

calling: ContextVar[str | None] = ContextVar("calling", default=None)
"""The call_id of the tool that runs, for the audit: it decides nothing."""

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
        self.asked: list[Asked] = []
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
            raise
        self.asked.append(Asked(provider, granted.account, calling.get()))
        return granted.credentials

    def stop(self, reason: Exception) -> None:
        """Ends the turn, whatever an engine makes of the reason."""
        self.stopped = self.stopped or reason
        self._on_stop()

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        coroutine = self.credentials(provider, scopes, renew=renew)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

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
