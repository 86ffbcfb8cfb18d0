"""Try the tokens of an app, and compare the scopes that it has with those that it needs."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import BotProfile, DeliveryError, DeliveryRefusedError
from gateway.channels.diagnosis import Finding, ok, problem, warning
from interfaces.slack.app.features import AppFeatures
from interfaces.slack.app.manifest import Addresses
from interfaces.slack.app.tokens import MakeClient
from interfaces.slack.errors import slack_errors
from oauth.store.installations import InstallationStore
from oauth.store.keyring import DecryptionError

# The granted scopes, in the answers of the Web API. Bolt reads them there, too (slack_bolt/middleware/authorization).
SCOPES_HEADER = "x-oauth-scopes"
AT_ONCE = 10  # workspaces whose tokens are tried at once


@dataclass(frozen=True, slots=True)
class BotToken:
    """A bot token that is tried.

    Args:
        client: a client of the Web API with the token.
        token, scopes: the subjects of the findings about it and about its scopes.
        name: what it is called in a sentence.
        replace: what to do if Slack rejects it.
        extend: what to do if it lacks scopes.
    """

    client: AsyncWebClient
    token: str
    scopes: str
    name: str
    replace: str
    extend: str


def configured_token(client: AsyncWebClient, channel: str, variable: str) -> BotToken:
    """Return the token of the setting `variable`."""
    return BotToken(
        client,
        f"{channel} bot token",
        f"{channel} scopes",
        variable,
        "set it to the Bot User OAuth Token under OAuth & Permissions at https://api.slack.com/apps.",
        "add them under OAuth & Permissions at https://api.slack.com/apps, or paste what `understudy slack manifest` "
        "prints, and install the app again.",
    )


async def try_bot_token(token: BotToken, scopes: Sequence[str]) -> AsyncIterator[Finding]:
    """Try a bot token: https://docs.slack.dev/reference/methods/auth.test

    Args:
        scopes: the scopes that the app needs.
    """
    try:
        with slack_errors():
            answer = await token.client.auth_test()
    except DeliveryRefusedError as refusal:
        yield problem(token.token, f"Slack rejects {token.name} ({refusal}): {token.replace}")
        return
    except (DeliveryError, ConnectionError) as error:
        yield problem(token.token, f"Slack could not be asked: {error}. Check this machine's network, and try again.")
        return
    yield ok(token.token, f"Slack takes it, as {answer.get('user')} in {answer.get('team')}.")
    granted = {name.lower(): value for name, value in answer.headers.items()}.get(SCOPES_HEADER)
    if granted is None:
        return
    if missing := sorted(set(scopes) - {scope.strip() for scope in granted.split(",")}):
        yield problem(token.scopes, f"The app lacks {', '.join(missing)}: {token.extend}")
    else:
        yield ok(token.scopes, "The app has all that it needs.")


async def try_installations(
    installations: InstallationStore, make_client: MakeClient, channel: str, install_address: str, scopes: Sequence[str]
) -> AsyncIterator[Finding]:
    """Try the stored bot token of each workspace, several at once. No token is renewed.

    Args:
        install_address: the page where a workspace installs the app.
        scopes: the scopes that the app needs.
    """
    again = f"have the workspace install the app again at {install_address}."

    async def try_one(tenant: str) -> Sequence[Finding]:
        subject = f"{channel} workspace {tenant}"
        try:
            found = await installations.load(channel, tenant)
        except DecryptionError:
            return [problem(subject, f"UNDERSTUDY_SECRET_KEY does not open its token: add the former key, or {again}")]
        if found is None or found.tenant != tenant:  # removed just now, or it uses the token of its organization
            return ()
        if found.problem is not None:
            return [problem(subject, f"Slack issues no new token for it ({found.problem}): {again}")]
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            return [ok(subject, "Its token has expired. The gateway gets the next one with the next message.")]
        token = BotToken(make_client(found.bot_token), subject, f"{subject} scopes", "its token", again, again)
        return [finding async for finding in try_bot_token(token, scopes)]

    tenants = await installations.tenants(channel)
    if not tenants:
        yield warning(f"{channel} workspaces", f"None has installed the app yet: open {install_address}.")
    for first in range(0, len(tenants), AT_ONCE):
        for findings in await asyncio.gather(*map(try_one, tenants[first : first + AT_ONCE])):
            for finding in findings:
                yield finding


async def try_app_token(client: AsyncWebClient, channel: str, variable: str, token: str) -> Finding:
    """Try an app-level token: https://docs.slack.dev/reference/methods/apps.connections.open

    Slack returns an address for a connection, which is not opened.
    """
    subject = f"{channel} Socket Mode"
    try:
        with slack_errors():
            await client.apps_connections_open(app_token=token)
    except DeliveryRefusedError as refusal:
        return problem(
            subject,
            f"Slack rejects {variable} ({refusal}): set it to an App-Level Token (xapp-…) with the scope "
            "connections:write, under Basic Information at https://api.slack.com/apps, and switch Socket Mode on.",
        )
    except (DeliveryError, ConnectionError) as error:
        return problem(subject, f"Slack could not be asked: {error}. Check this machine's network, and try again.")
    return ok(subject, "Slack opens connections.")


def check_addresses(
    addresses: Addresses, features: AppFeatures, profile: BotProfile, channel: str
) -> Iterator[Finding]:
    """Yield the addresses that have to be in the app's configuration, or which Slack cannot call."""
    called = {
        "Request URL of Event Subscriptions": (addresses.events, not features.socket_mode),
        "Redirect URL": (addresses.redirect, features.many_workspaces),
    }
    for name, (path, is_needed) in called.items():
        if is_needed and profile.base_url is None:
            yield problem(
                f"{channel} addresses",
                f"UNDERSTUDY_BASE_URL is not set, and the app needs a {name}: set it to the public address of this "
                "gateway, like https://bot.example.com.",
            )
        elif is_needed:
            yield ok(f"{channel} addresses", f"The {name} has to be {profile.base_url}{path}.")
