"""Try the tokens of an app, and compare the scopes that it has with those that it needs."""

from collections.abc import AsyncIterator, Iterator, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import BotProfile, DeliveryError, DeliveryRefusedError
from gateway.channels.diagnosis import Finding, ok, problem
from interfaces.slack.app.features import AppFeatures
from interfaces.slack.app.manifest import Addresses
from interfaces.slack.errors import slack_errors

# The granted scopes, in the answers of the Web API. Bolt reads them there, too (slack_bolt/middleware/authorization).
SCOPES_HEADER = "x-oauth-scopes"


async def try_bot_token(
    client: AsyncWebClient, channel: str, variable: str, scopes: Sequence[str]
) -> AsyncIterator[Finding]:
    """Try a bot token: https://docs.slack.dev/reference/methods/auth.test

    Args:
        client: a client with the token.
        variable: the setting that has it.
        scopes: the scopes that the app needs.
    """
    subject = f"{channel} bot token"
    try:
        with slack_errors():
            answer = await client.auth_test()
    except DeliveryRefusedError as refusal:
        yield problem(
            subject,
            f"Slack rejects {variable} ({refusal}): set it to the Bot User OAuth Token under OAuth & Permissions at "
            "https://api.slack.com/apps.",
        )
        return
    except (DeliveryError, ConnectionError) as error:
        yield problem(subject, f"Slack could not be asked: {error}. Check this machine's network, and try again.")
        return
    yield ok(subject, f"Slack takes it, as {answer.get('user')} in {answer.get('team')}.")
    granted = {name.lower(): value for name, value in answer.headers.items()}.get(SCOPES_HEADER)
    if granted is None:
        return
    if missing := sorted(set(scopes) - {scope.strip() for scope in granted.split(",")}):
        yield problem(
            f"{channel} scopes",
            f"The app lacks {', '.join(missing)}: add them under OAuth & Permissions at https://api.slack.com/apps, or "
            "paste what `understudy slack manifest` prints, and install the app again.",
        )
    else:
        yield ok(f"{channel} scopes", "The app has all that it needs.")


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
