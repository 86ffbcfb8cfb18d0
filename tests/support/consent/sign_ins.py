"""The steps of a sign-in on a stage, in the chat and in the browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

import httpx

from gateway import Gateway, TurnContext
from support.stage import FakeProvider, Stage
from toolkits import Toolkit, tool


class Files(Toolkit):
    """A toolkit that needs one permission."""

    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth

    @tool
    async def read_file(self, context: TurnContext) -> str:
        """Read a file."""
        return str(await context.credentials("fake", {"read"}))


class Pens(Toolkit):
    """A toolkit that needs another permission of the same provider."""

    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"write"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth

    @tool
    async def write_file(self, context: TurnContext) -> str:
        """Write a file."""
        return str(await context.credentials("fake", {"write"}))


async def link_for(scene: Stage, person: str = "alice", where: str | None = None, call: str = "open_vault") -> str:
    """Have a person call a tool that needs their account, and return the sign-in link that they get."""
    before = len(scene.sent)
    await scene.write(person, f"call {call}", where)
    return (await scene.wait_for(before + 1))[before].link


async def request_of(gateway: Gateway, link: str) -> dict[str, str]:
    """Return the parameters of the authorization request to which a sign-in link leads."""
    coordinator = gateway.parts.oauth
    assert coordinator is not None
    return dict(parse_qsl(urlsplit(await coordinator.authorization_url(link.rpartition("/")[2])).query))


async def state_of(gateway: Gateway, link: str) -> str:
    """Return the state of the authorization request to which a sign-in link leads."""
    return (await request_of(gateway, link))["state"]


async def asked_for(scene: Stage, link: str) -> set[str]:
    """Return the scopes that a sign-in link asks for."""
    return set((await request_of(scene.gateway, link))["scope"].split())


async def callback(scene: Stage, link: str, **query: str) -> str:
    """Return the address to which the provider redirects a browser after the sign-in page of a link."""
    return str(httpx.URL("/oauth/fake/callback", params={"state": await state_of(scene.gateway, link), **query}))


@asynccontextmanager
async def browser(scene: Stage) -> AsyncIterator[httpx.AsyncClient]:
    """Open a browser, which keeps its cookies."""
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="https://bot.test") as client:
        yield client


async def sign_in(scene: Stage, link: str, account: str) -> httpx.Response:
    """Open a link in a new browser, consent with an account, and return the page that follows."""
    async with browser(scene) as client:
        return await client.get(await callback(scene, link, code=f"of-{account}"))


def tokens(scene: Stage) -> list[tuple[str, ...]]:
    """Return the user ids and accounts of the stored tokens."""
    return scene.rows("SELECT user_id, account FROM oauth_tokens")
