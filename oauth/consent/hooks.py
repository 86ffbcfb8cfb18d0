"""What the consent loop calls in the gateway when a person consents or declines."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.identity import Identity


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's answer to a consent page. Its `scopes` were granted or declined: they are not asked for again."""

    identity: Identity
    provider: str
    scopes: frozenset[str]


GrantHook = Callable[[AsyncConnection, Grant], Awaitable[Callable[[], None]]]
"""Called inside the transaction that stores a token. What it returns is called after the commit."""

DenialHook = Callable[[Identity, str], Awaitable[None]]
"""Called with a person and a provider, after the person declined to connect it."""

Voucher = Callable[[Identity], Awaitable[str | None]]
"""Returns the e-mail address of a person that their platform vouches for; `None` if it vouches for none."""


async def _resume_nothing(_: AsyncConnection, __: Grant) -> Callable[[], None]:
    return lambda: None


async def _tell_nobody(_: Identity, __: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class ConsentHooks:
    """The gateway's part in a consent.

    Args:
        on_grant: resumes, in the transaction that stores a token, what waits for it.
        vouch: gives the address by which a person needs no code. Without it everybody has to send one.
        on_denial: tells a person what follows from their declining.
    """

    on_grant: GrantHook = _resume_nothing
    vouch: Voucher | None = None
    on_denial: DenialHook = _tell_nobody
