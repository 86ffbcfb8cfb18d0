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
    max_waiting_messages: int = Field(
        default=100_000, ge=1, description="It is how many messages may wait before webhooks are answered 503."
    )
    takeover_seconds: float = Field(
        default=10,
        ge=1,
        description="It is after how many seconds without a sign of life another worker takes over what one was doing.",
    )
    audit_content: bool = Field(default=False, description="It is true or false.")


class ModelSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    model: str = Field(
        description="It is a provider and a model, like openai:gpt-5.2; or give Agent(model=…) in the code."
    )
