"""The manifest from which Slack creates the app: https://docs.slack.dev/reference/app-manifest"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.channels import BotProfile
from gateway.channels.commands import COMMANDS, OF_ACCOUNTS
from interfaces.slack.app.features import AppFeatures
from oauth import SettingError
from oauth.settings import not_set

# Slack's limits, in characters: https://docs.slack.dev/reference/app-manifest
MOST_NAME = 35
MOST_DESCRIPTION = 140
MOST_BOT_NAME = 80
MOST_AGENT_DESCRIPTION = 300
MOST_COMMAND = 32
MOST_COMMAND_DESCRIPTION = 2000

# A workspace has each slash command once, so that the app takes no common ones like /help.
SLASH_COMMANDS = ("new", "stop", "accounts", "disconnect")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The paths of the gateway that Slack calls, and the setting without which it needs none."""

    events: str
    commands: str
    interactivity: str
    redirect: str
    app_token_variable: str


def app_manifest(features: AppFeatures, profile: BotProfile, addresses: Addresses) -> Mapping[str, Any]:
    """Return the manifest of an app with exactly the scopes, events and addresses that its features need.

    Raises:
        SettingError: if Slack needs an address and the gateway's is not known, or a command is too long for Slack.
    """
    by_webhook = not features.socket_mode
    base_url = _base_url(features, profile, addresses.app_token_variable)

    def at(path: str, key: str = "request_url") -> dict[str, str]:
        return {key: f"{base_url}{path}"} if by_webhook else {}

    commands = _commands(profile)
    shown: dict[str, Any] = {
        "app_home": {
            "home_tab_enabled": features.app_home,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": _cut(profile.name, MOST_BOT_NAME), "always_online": True},
        "slash_commands": [{**command, **at(addresses.commands, "url")} for command in commands],
    }
    if features.agent_view:
        about = _cut(profile.description or profile.name, MOST_AGENT_DESCRIPTION)
        shown["agent_view"] = {"agent_description": about}
    oauth: dict[str, Any] = {"scopes": {"bot": features.scopes}}
    if features.many_workspaces:
        oauth["redirect_urls"] = [f"{base_url}{addresses.redirect}"]
    described = {"description": _cut(profile.description, MOST_DESCRIPTION)} if profile.description else {}
    return {
        "display_information": {"name": _cut(profile.name, MOST_NAME), **described},
        "features": shown,
        "oauth_config": oauth,
        "settings": {
            "event_subscriptions": {**at(addresses.events), "bot_events": features.events},
            "interactivity": {"is_enabled": True, **at(addresses.interactivity)},
            "org_deploy_enabled": features.many_workspaces,
            "socket_mode_enabled": features.socket_mode,
            "token_rotation_enabled": False,  # it cannot be switched off again, and one bot token needs it to be off
        },
    }


def _base_url(features: AppFeatures, profile: BotProfile, app_token_variable: str) -> str | None:
    if profile.base_url is not None or (features.socket_mode and not features.many_workspaces):
        return profile.base_url
    if features.socket_mode:
        raise not_set(
            "UNDERSTUDY_BASE_URL",
            "Slack sends people there after they install the app: set it to the public address of this gateway, like "
            "https://bot.example.com.",
        )
    raise not_set(
        "UNDERSTUDY_BASE_URL",
        "Slack sends events there: set it to the public address of this gateway, like "
        f"https://bot.example.com. Or set {app_token_variable}: with Socket Mode the gateway needs no public address. "
        f"Until the app has a token, any value that begins with xapp- will do: {app_token_variable}=xapp-later.",
    )


def _commands(profile: BotProfile) -> Sequence[dict[str, str]]:
    own = {name: COMMANDS[name] for name in SLASH_COMMANDS if profile.has_accounts or name not in OF_ACCOUNTS}
    commands = {**own, **profile.commands}
    if too_long := [name for name in commands if len(f"/{name}") > MOST_COMMAND]:
        raise SettingError(
            f"Slack has no commands of more than {MOST_COMMAND} characters. A route has the command /{too_long[0]}: "
            "choose a shorter one."
        )
    return [
        {"command": f"/{name}", "description": _cut(description, MOST_COMMAND_DESCRIPTION)}
        for name, description in commands.items()
    ]


def _cut(text: str, most: int) -> str:
    """Return a text on one line, cut to a number of characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
