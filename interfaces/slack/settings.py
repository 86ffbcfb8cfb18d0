"""The settings of the Slack channel."""

import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from gateway.channels import AccessPolicy
from oauth import SettingError
from oauth.settings import ServiceUrl, Settings

APP_TOKEN = re.compile(r"xapp-[\w-]+")  # https://docs.slack.dev/authentication/tokens#app-level


def _check_app_token(token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if token is None:
        if info.data.get("signing_secret") is None:
            raise PydanticCustomError("missing", "Slack's requests come by neither way")
    elif not APP_TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("it has to begin with xapp-")
    return token


class SlackSettings(Settings):
    """The settings of an app, in one workspace or in many."""

    model_config = SettingsConfigDict(env_prefix="SLACK_")

    signing_secret: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="It is the Signing Secret under Basic Information at https://api.slack.com/apps.",
    )
    app_token: Annotated[SecretStr | None, AfterValidator(_check_app_token)] = Field(
        default=None,
        validate_default=True,
        examples=["xapp-1"],
        description="It is an App-Level Token (xapp-…) with the scope connections:write, under Basic Information at "
        "https://api.slack.com/apps. Or set the signing secret, if Slack reaches this gateway at a public address.",
    )
    own_workspaces: str = Field(
        default="",
        description="It is a list like T012AB3CD,T345EF6GH: the workspaces whose members' e-mail addresses you trust.",
    )
    api_url: ServiceUrl = Field(default="https://slack.com/api", description="Leave it out for Slack itself.")
    access: AccessPolicy = Field(default=AccessPolicy.OPEN, description="It is open, allowlist or pairing.")

    @classmethod
    def required_variables(cls) -> list[str]:
        return [cls.variable("app_token"), *super().required_variables()]

    @classmethod
    def mentioned(cls) -> bool:
        return super().mentioned() or bool(os.environ.get(cls.variable("signing_secret")))

    @property
    def own_workspace_ids(self) -> frozenset[str]:
        return frozenset(self.own_workspaces.replace(",", " ").split())


def _check_bot_token(token: SecretStr) -> SecretStr:
    """Refuse a token that expires: https://docs.slack.dev/authentication/using-token-rotation"""
    if token.get_secret_value().startswith("xoxe."):
        raise ValueError(
            "it expires after twelve hours, because token rotation is on for the app. Rotation cannot be switched off: "
            "have the workspace install the app (set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET instead, see "
            "cookbook/slack/README.md), or create an app without rotation"
        )
    return token


class OneWorkspaceSettings(SlackSettings):
    """The settings of an app in the workspace that its bot token is for."""

    bot_token: Annotated[SecretStr, AfterValidator(_check_bot_token)] = Field(
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
        SettingError: if a setting is missing or malformed, if there is neither an app-level token nor a signing secret,
            or if there is both a bot token and a client id.
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


GROUPS = (OneWorkspaceSettings, ManyWorkspacesSettings)
