"""What the consent loop calls in the gateway when a person consents or declines."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.identity import Identity


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's answer to a consent page. Its `scopes` were granted or declined: they are not asked for again."""

    identity: Identity
    provider: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReturnLink:
    """A way from the page that follows a consent back to the chat.

    Args:
        address: where it leads. It may contain the code.
        place: what people call the place that it leads to: `Telegram`.
        then: one sentence that says what to do there; empty if nothing is left to do.
        brings_code: whether the code comes along, so that the chat sends it in the name of whoever follows the link.
    """

    address: str = field(repr=False)
    place: str
    then: str = ""
    brings_code: bool = False


GrantHook = Callable[[AsyncConnection, Grant], Awaitable[Callable[[], None]]]
"""Called inside the transaction that stores a token. What it returns is called after the commit."""

DenialHook = Callable[[Identity, str], Awaitable[None]]
"""Called with a person and a provider, after the person declined to connect it."""

ReturnLinks = Callable[[Identity, str | None], Awaitable[ReturnLink | None]]
"""Returns the way back to the chat with a person; `None` if there is none.

It is called with the code that the person has to send there, or with `None` if they have to send none."""

Voucher = Callable[[Identity], Awaitable[str | None]]
"""Returns the e-mail address of a person that their platform vouches for; `None` if it vouches for none."""


async def _resume_nothing(_: AsyncConnection, __: Grant) -> Callable[[], None]:
    return lambda: None


async def _tell_nobody(_: Identity, __: str) -> None:
    return


async def _lead_nowhere(_: Identity, __: str | None) -> ReturnLink | None:
    return None


@dataclass(frozen=True, slots=True)
class ConsentHooks:
    """The gateway's part in a consent.

    Args:
        on_grant: resumes, in the transaction that stores a token, what waits for it.
        vouch: gives the address by which a person needs no code. Without it everybody has to send one.
        on_denial: tells a person what follows from their declining.
        return_link: gives the page its way back to the chat.
    """

    on_grant: GrantHook = _resume_nothing
    vouch: Voucher | None = None
    on_denial: DenialHook = _tell_nobody
    return_link: ReturnLinks = _lead_nowhere
