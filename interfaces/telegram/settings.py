"""The settings of the Telegram channel."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from gateway.channels import AccessPolicy
from oauth.settings import ServiceUrl, Settings


def _check_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"\d+:[\w-]+", token.get_secret_value()):
        raise ValueError("it has to look like 123456:ABC-DEF")
    return token


def _check_secret(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret.get_secret_value()):
        raise ValueError("Telegram takes 1 to 256 letters, digits, _ and -")
    return secret


class TelegramSettings(Settings):
    """The settings of the channel."""

    model_config = SettingsConfigDict(env_prefix="TELEGRAM_")

    bot_token: Annotated[SecretStr, AfterValidator(_check_token)] = Field(
        description="It is the token that https://t.me/BotFather shows for the bot.", examples=["123456:ABC-DEF"]
    )
    webhook_secret: Annotated[SecretStr | None, AfterValidator(_check_secret)] = Field(
        default=None, description="Leave it out: it is derived from the bot's token."
    )
    polling: bool | None = Field(default=None, description="It is true or false.")
    access: AccessPolicy = Field(default=AccessPolicy.OPEN, description="It is open, allowlist or pairing.")
    api_url: ServiceUrl = Field(default="https://api.telegram.org", description="Leave it out for Telegram itself.")


GROUPS = (TelegramSettings,)
