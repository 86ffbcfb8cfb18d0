"""The hooks that the consent loop calls when a person consents or declines."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.identity import Identity


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's answer to a consent page. It has the scopes that were granted or declined, so as not to ask again."""

    identity: Identity
    provider: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReturnLink:
    """A link from the page that follows a consent back to the chat.

    Args:
        address: the URL, which may contain the code.
        place: the name of the place that the link leads to, as people know it: `Telegram`.
        then: one sentence that says what to do there; empty if nothing is left to do.
        brings_code: whether the chat sends the code for the person who follows the link.
    """

    address: str = field(repr=False)
    place: str
    then: str = ""
    brings_code: bool = False


GrantHook = Callable[[AsyncConnection, Grant], Awaitable[Callable[[], None]]]
"""Called inside the transaction that stores a token. Returns a function that is called after the commit."""

DenialHook = Callable[[Identity, str], Awaitable[None]]
"""Called with a person and a provider, after the person declined to connect it."""

ReturnLinks = Callable[[Identity, str | None], Awaitable[ReturnLink | None]]
"""Returns the link back to the chat with a person; `None` if there is none.

The second argument is the code that the person has to send in the chat; `None` if they need no code."""

Voucher = Callable[[Identity], Awaitable[str | None]]
"""Returns a person's e-mail address, if the chat platform vouches for it; `None` if it vouches for none."""


async def _resume_nothing(_: AsyncConnection, __: Grant) -> Callable[[], None]:
    return lambda: None


async def _tell_nobody(_: Identity, __: str) -> None:
    return


async def _lead_nowhere(_: Identity, __: str | None) -> ReturnLink | None:
    return None


@dataclass(frozen=True, slots=True)
class ConsentHooks:
    """The hooks of the gateway in the consent loop.

    Args:
        on_grant: resumes the turns that wait for a token, in the transaction that stores it.
        vouch: returns the address that the chat platform vouches for. An account with this address is connected
            without a code. Without this hook, everybody has to send a code.
        on_denial: tells a person what happens after they declined.
        return_link: returns the link from the page back to the chat.
    """

    on_grant: GrantHook = _resume_nothing
    vouch: Voucher | None = None
    on_denial: DenialHook = _tell_nobody
    return_link: ReturnLinks = _lead_nowhere
