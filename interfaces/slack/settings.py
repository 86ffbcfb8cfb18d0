"""The settings of the Slack channel."""

import os
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from oauth import SettingError
from oauth.settings import ServiceUrl, Settings


class SlackSettings(Settings):
    """The settings of an app, in one workspace or in many."""

    model_config = SettingsConfigDict(env_prefix="SLACK_")

    signing_secret: SecretStr = Field(
        min_length=1,
        description="It is the Signing Secret under Basic Information at https://api.slack.com/apps.",
    )
    own_workspaces: str = Field(
        default="",
        description="It is a list like T012AB3CD,T345EF6GH: the workspaces whose members' e-mail addresses you trust.",
    )
    api_url: ServiceUrl = Field(default="https://slack.com/api", description="Leave it out for Slack itself.")

    @property
    def own_workspace_ids(self) -> frozenset[str]:
        return frozenset(self.own_workspaces.replace(",", " ").split())


class OneWorkspaceSettings(SlackSettings):
    """The settings of an app in the workspace that its bot token is for."""

    bot_token: SecretStr = Field(
        min_length=1,
        description="It is the Bot User OAuth Token (xoxb-…) under OAuth & Permissions at https://api.slack.com/apps.",
    )


class ManyWorkspacesSettings(SlackSettings):
    """The settings of an app that any workspace can install."""

    client_id: str = Field(description="It is the Client ID under Basic Information at https://api.slack.com/apps.")
    client_secret: SecretStr = Field(
        min_length=1,
        description="It is the Client Secret under Basic Information at https://api.slack.com/apps.",
    )


def load_settings(
    name: str | None, bot_token: str | None, client_id: str | None, client_secret: str | None, **common: Any
) -> OneWorkspaceSettings | ManyWorkspacesSettings:
    """Return the settings of one workspace, or of many if there is a client id.

    Args:
        name: the name of one of several apps; `None` if it has none.

    Raises:
        SettingError: if a setting is missing or malformed, or there is both a bot token and a client id.
    """
    one, many = OneWorkspaceSettings.named(name), ManyWorkspacesSettings.named(name)
    token, client = one.variable("bot_token"), many.variable("client_id")
    has_token, has_client = bool(bot_token or os.environ.get(token)), bool(client_id or os.environ.get(client))
    if has_token and has_client:
        raise SettingError(
            f"{token} and {client} are both set. The first is for one workspace, the second for all "
            "that install the app: unset one of them."
        )
    if has_client:
        return many(client_id=client_id, client_secret=client_secret, **common)
    return one(bot_token=bot_token, **common)
