"""Try the public address of the gateway, and say which redirect URIs providers have to know."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from gateway.app.gateway import Gateway
from gateway.app.server import listen
from gateway.channels.diagnosis import Finding, ok, problem, warning
from oauth import SettingError
from oauth.settings import is_loopback

SUBJECT = "public address"
CALL_TIMEOUT = 10.0  # seconds


async def check_address(base_url: str) -> AsyncIterator[Finding]:
    """Request the health check of the gateway at its public address."""
    advice = "check its DNS record, its certificate and its proxy. If the gateway does not run yet, start it first."
    try:
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT) as client:
            answer = await client.get(f"{base_url}/healthz")
    except httpx.HTTPError as error:
        yield warning(SUBJECT, f"{base_url} cannot be reached ({type(error).__name__}: {error}): {advice}")
        return
    if not (answer.is_success and '"status"' in answer.text):
        yield warning(SUBJECT, f"{base_url}/healthz answers {answer.status_code}, not as the gateway does: {advice}")
    elif is_loopback(base_url):
        yield warning(
            SUBJECT,
            f"UNDERSTUDY_BASE_URL is {base_url}, which only this machine reaches: platforms and people need a public "
            "address with https.",
        )
    else:
        yield ok(SUBJECT, f"The gateway answers at {base_url}.")


async def check_port(host: str, port: int) -> AsyncIterator[Finding]:
    """Bind the port that the gateway listens on, for a moment, or find the gateway there."""
    try:
        listener = await asyncio.to_thread(listen, host, port)  # which looks the host up
    except SettingError as error:
        if await _is_gateway(f"http://{f'[{host}]' if ':' in host else host}:{port}"):
            yield ok("port", f"The gateway listens on {port}.")
        else:
            yield problem("port", str(error))
    else:
        listener.close()
        yield ok("port", f"{port} is free.")


async def _is_gateway(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT, trust_env=False) as client:
            return '"status"' in (await client.get(f"{url}/healthz")).text
    except httpx.HTTPError:
        return False


async def check_redirects(gateway: Gateway, port: int) -> AsyncIterator[Finding]:
    """Yield the redirect URI of each provider whose accounts people connect.

    Args:
        port: the port that the gateway listens on.
    """
    oauth = gateway.parts.oauth
    if oauth is not None and gateway.base_url is None:
        yield warning(
            "sign-in",
            "UNDERSTUDY_BASE_URL is not set, so that only people on this machine can sign in, and no worker starts: "
            "set it to the public address of this gateway, like https://bot.example.com.",
        )
    for provider in oauth.providers if oauth is not None else ():
        root = gateway.base_url or f"http://localhost:{port}"
        yield ok(f"{provider} redirect URI", f"The client at {provider} has to list {root}/oauth/{provider}/callback.")
