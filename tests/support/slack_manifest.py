"""What Slack accepts as an app manifest, as documented.

The fields are those of https://docs.slack.dev/reference/app-manifest and the limits those of the schema that Slack
publishes at https://github.com/slackapi/manifest-schema, as far as the gateway uses them. Nothing else is accepted.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# The scope that a bot event needs, as each event's page says: https://docs.slack.dev/reference/events
EVENT_SCOPES = {
    "agent_session_stopped": "assistant:write",
    "app_home_opened": None,
    "channel_id_changed": "groups:read",
    "app_mention": "app_mentions:read",
    "app_uninstalled": None,
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "team_access_revoked": None,
    "tokens_revoked": None,
    "user_change": "users:read",
}

Url = Annotated[str, StringConstraints(pattern="^https?://", max_length=3000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DisplayInformation(_Part):
    name: str = Field(min_length=1, max_length=35)
    description: str | None = Field(default=None, min_length=1, max_length=140)


class AppHome(_Part):
    home_tab_enabled: bool
    messages_tab_enabled: bool
    messages_tab_read_only_enabled: bool


class BotUser(_Part):
    display_name: str = Field(min_length=1, max_length=80)
    always_online: bool


class SlashCommand(_Part):
    command: str = Field(min_length=2, max_length=32, pattern="^/")
    description: str = Field(min_length=1, max_length=2000)
    url: Url | None = None


class AgentView(_Part):
    agent_description: str = Field(max_length=300)


class Features(_Part):
    app_home: AppHome
    bot_user: BotUser
    slash_commands: list[SlashCommand] = Field(min_length=1, max_length=50)
    agent_view: AgentView | None = None


class Scopes(_Part):
    bot: list[Annotated[str, StringConstraints(max_length=50)]] = Field(max_length=255)


class OAuthConfig(_Part):
    scopes: Scopes
    redirect_urls: list[Url] | None = None


class EventSubscriptions(_Part):
    request_url: Url | None = None
    bot_events: list[Annotated[str, StringConstraints(max_length=50)]] = Field(max_length=100)


class Interactivity(_Part):
    is_enabled: bool
    request_url: Url | None = None


class Settings(_Part):
    event_subscriptions: EventSubscriptions
    interactivity: Interactivity
    org_deploy_enabled: bool
    socket_mode_enabled: bool
    token_rotation_enabled: bool


class Manifest(_Part):
    display_information: DisplayInformation
    features: Features
    oauth_config: OAuthConfig
    settings: Settings

    @property
    def scopes(self) -> set[str]:
        return set(self.oauth_config.scopes.bot)

    @property
    def events(self) -> set[str]:
        return set(self.settings.event_subscriptions.bot_events)

    @property
    def commands(self) -> list[str]:
        return [command.command for command in self.features.slash_commands]

    @property
    def request_urls(self) -> set[str | None]:
        """Every address to which Slack would send requests."""
        settings = self.settings
        urls = [command.url for command in self.features.slash_commands]
        return {*urls, settings.event_subscriptions.request_url, settings.interactivity.request_url}


def accepted(printed: Any) -> Manifest:
    """Return a manifest that Slack accepts.

    Raises:
        ValidationError, AssertionError: if Slack would not accept it.
    """
    manifest = Manifest.model_validate(printed)
    assert len(manifest.events) == len(manifest.settings.event_subscriptions.bot_events)
    needed = {EVENT_SCOPES[event] for event in manifest.events} - {None}
    assert needed <= manifest.scopes
    assert len(set(manifest.commands)) == len(manifest.commands)
    return manifest
