from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from oauth.settings import ServiceUrl, Settings

DEFAULT_DATABASE_URL = "sqlite:///understudy.db"
DEV_DIRECTORY = Path(".understudy")  # where `understudy dev` keeps what is its own
DEV_DATABASE = DEV_DIRECTORY / "dev.db"


class PrivateAnswers(StrEnum):
    """Where a private answer goes that was asked for in a place which several people read."""

    #: To its person, who is told so where they asked.
    ALONE = "alone"
    #: Where it was asked for.
    OPEN = "open"


class AmbiguousSends(StrEnum):
    """What becomes of a text of which it is not known, and cannot be looked up, whether the platform took it."""

    #: It is sent again, marked as such: a person who reads it twice has lost nothing.
    RESEND = "resend"
    #: It is not sent again, but is a dead letter.
    DROP = "drop"


class SignInCode(StrEnum):
    """Whether a person who has signed in sends a code in the chat, which shows that they are the one there."""

    #: Unless their platform vouches for the account's e-mail address.
    UNLESS_VOUCHED = "unless-vouched"
    ALWAYS = "always"


class WhenBusy(StrEnum):
    """What becomes of messages that come while a conversation is busy."""

    #: Each message is a turn, one after the other.
    QUEUE = "queue"
    #: What came from the same person while the conversation was busy is one turn.
    COLLECT = "collect"
    #: A message of the same person cancels their running turn, and both are answered together.
    INTERRUPT = "interrupt"


class GatewaySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    database_url: str = Field(
        default=DEFAULT_DATABASE_URL, repr=False, description="It is like sqlite:///understudy.db."
    )
    base_url: ServiceUrl | None = Field(
        default=None, description="It is the public address of this gateway, like https://bot.example.com."
    )
    secret_key: SecretStr | None = Field(default=None, description="Make one with `understudy keys new`.")
    private_answers: PrivateAnswers = Field(default=PrivateAnswers.ALONE, description="It is alone or open.")
    sign_in_code: SignInCode = Field(default=SignInCode.UNLESS_VOUCHED, description="It is unless-vouched or always.")
    max_waiting_messages: int = Field(
        default=100_000, ge=1, description="It is how many messages may wait before webhooks are answered 503."
    )
    turn_tries: int = Field(
        default=5, ge=1, description="It is how often a message is tried that the agent cannot answer."
    )
    delivery_tries: int = Field(
        default=12, ge=1, description="It is how often something is tried that a platform does not take."
    )
    answer_within_hours: float = Field(
        default=12, gt=0, description="It is how many hours after it came a message is still answered."
    )
    ambiguous_sends: AmbiguousSends = Field(default=AmbiguousSends.RESEND, description="It is resend or drop.")
    session_tokens: int = Field(
        default=32_000,
        ge=100,
        description="It is how many tokens of a conversation's history the model reads; what is before is summarized.",
    )
    session_idle_hours: float | None = Field(
        default=None,
        gt=0,
        description="It is after how many silent hours a conversation begins afresh; never, unless set.",
    )
    keep_days: float | None = Field(
        default=None, gt=0, description="It is how many days messages stay that are done; for ever, unless set."
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
