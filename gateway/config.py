from enum import StrEnum

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from oauth.settings import ServiceUrl, Settings

DEFAULT_DATABASE_URL = "sqlite:///understudy.db"


class PrivateAnswers(StrEnum):
    """Where a private answer goes that was asked for in a place which several people read."""

    #: To its person, who is told so where they asked.
    ALONE = "alone"
    #: Where it was asked for.
    OPEN = "open"


class GatewaySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    database_url: str = Field(default=DEFAULT_DATABASE_URL, description="It is like sqlite:///understudy.db.")
    base_url: ServiceUrl | None = Field(
        default=None, description="It is the public address of this gateway, like https://bot.example.com."
    )
    secret_key: SecretStr | None = Field(default=None, description="Make one with `understudy keys new`.")
    private_answers: PrivateAnswers = Field(default=PrivateAnswers.ALONE, description="It is alone or open.")
    audit_content: bool = Field(default=False, description="It is true or false.")


class ModelSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    model: str = Field(
        description="It is a provider and a model, like openai:gpt-5.2; or give Agent(model=…) in the code."
    )
