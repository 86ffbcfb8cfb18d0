from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from oauth.settings import ServiceUrl, Settings

DEFAULT_DATABASE_URL = "sqlite:///understudy.db"


class GatewaySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    database_url: str = Field(default=DEFAULT_DATABASE_URL, description="It is like sqlite:///understudy.db.")
    base_url: ServiceUrl | None = Field(
        default=None, description="It is the public address of this gateway, like https://bot.example.com."
    )
    secret_key: SecretStr | None = Field(default=None, description="Make one with `understudy keys new`.")
    audit_content: bool = Field(default=False, description="It is true or false.")


class ModelSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    model: str = Field(
        description="It is a provider and a model, like openai:gpt-5.2; or give Agent(model=…) in the code."
    )
