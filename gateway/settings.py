"""The settings of a gateway, read from the environment."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from oauth.identity import Identity
from oauth.settings import ServiceUrl, Settings

DEFAULT_DATABASE_URL = "sqlite:///understudy.db"
DEV_DIRECTORY = Path(".understudy")  # the files of `understudy dev`
DEV_DATABASE = DEV_DIRECTORY / "dev.db"


class PrivateAnswers(StrEnum):
    """Where a private answer goes if the message came from a shared conversation."""

    #: Only to the person who asked; a note in the shared conversation says so.
    ALONE = "alone"
    #: To the shared conversation.
    OPEN = "open"


class AmbiguousSends(StrEnum):
    """What to do with a message that the platform may have received, if the platform cannot be asked."""

    #: Send it again, marked as possibly sent before: a person may read it twice.
    RESEND = "resend"
    #: Do not send it again: it becomes a dead letter.
    DROP = "drop"


class SignInCode(StrEnum):
    """When people have to confirm a sign-in by sending a code in the chat."""

    #: Unless their platform vouches for the account's e-mail address.
    UNLESS_VOUCHED = "unless-vouched"
    ALWAYS = "always"


class WhenBusy(StrEnum):
    """What to do with messages that arrive while another message of their conversation is being answered."""

    #: Answer each message in a separate turn, one after the other.
    QUEUE = "queue"
    #: Answer all messages that the same person wrote meanwhile in one turn.
    COLLECT = "collect"
    #: Cancel the running turn of the same person, and answer both messages together.
    INTERRUPT = "interrupt"


class LogLevel(StrEnum):
    """The least severe records that the log has."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @classmethod
    def _missing_(cls, value: object) -> "LogLevel | None":
        """Accept capitals, too."""
        return next((level for level in cls if level.value == str(value).lower()), None)


class LogFormat(StrEnum):
    #: Lines for people.
    TEXT = "text"
    #: A JSON object on each line.
    JSON = "json"


def _identities(given: object) -> object:
    """Parse identities like CHANNEL/TENANT/USER_ID, separated by commas. Return a value that is no text as it is."""
    if not isinstance(given, str):
        return given
    named = [each.strip().split("/", 2) for each in given.split(",") if each.strip()]
    if any(len(parts) < 3 or not all(parts) for parts in named):
        raise ValueError("an identity is CHANNEL/TENANT/USER_ID")
    return tuple(Identity(*parts) for parts in named)


class GatewaySettings(Settings):
    """The settings that start with UNDERSTUDY_: docs/settings.md explains each."""

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    database_url: str = Field(
        default=DEFAULT_DATABASE_URL,
        repr=False,
        description="It is an address like sqlite:///understudy.db or postgresql://user:password@host/understudy.",
    )
    base_url: ServiceUrl | None = Field(
        default=None, description="It is the public address of this gateway, like https://bot.example.com."
    )
    secret_key: SecretStr | None = Field(default=None, description="Make one with `understudy keys new`.")
    private_answers: PrivateAnswers = Field(default=PrivateAnswers.ALONE, description="It is alone or open.")
    sign_in_code: SignInCode = Field(default=SignInCode.UNLESS_VOUCHED, description="It is unless-vouched or always.")
    max_waiting_messages: int = Field(
        default=100_000,
        ge=1,
        description="It is the number of messages that may wait before webhooks are answered 503.",
    )
    turns_per_minute: int | None = Field(
        default=None, ge=1, description="It is the number of turns that a person may begin in a minute."
    )
    turns_per_day: int | None = Field(
        default=None, ge=1, description="It is the number of turns that a person may begin in a day."
    )
    turn_tries: int = Field(
        default=5, ge=1, description="It is the number of tries for a message that the agent fails to answer."
    )
    delivery_tries: int = Field(
        default=12,
        ge=1,
        description="It is the number of tries for a delivery that the platform does not take.",
    )
    answer_within_hours: float = Field(
        default=12, gt=0, description="It is the age in hours up to which a message is still answered."
    )
    ambiguous_sends: AmbiguousSends = Field(default=AmbiguousSends.RESEND, description="It is resend or drop.")
    session_tokens: int = Field(
        default=32_000,
        ge=100,
        description="It is the number of tokens of a history that the model reads; older items are summarized.",
    )
    session_idle_hours: float | None = Field(
        default=None,
        gt=0,
        description="It is the silence in hours after which a conversation begins afresh; never, unless set.",
    )
    keep_days: float | None = Field(
        default=None,
        gt=0,
        description="It is the number of days for which answered messages are kept; for ever, unless set.",
    )
    takeover_seconds: float = Field(
        default=10,
        ge=1,
        description="It is the number of seconds without a heartbeat after which another process takes over.",
    )
    approvers: Annotated[tuple[Identity, ...], NoDecode, BeforeValidator(_identities)] = Field(
        default=(), description="It is CHANNEL/TENANT/USER_ID of each person, with commas between them."
    )
    audit_content: bool = Field(default=False, description="It is true or false.")
    answer_edits: bool = Field(default=False, description="It is true or false.")
    max_attachment_mb: float = Field(
        default=20, gt=0, description="It is the size in megabytes of the largest file that is read from a chat."
    )


class LogSettings(Settings):
    """The log of a process."""

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    log_level: LogLevel = Field(default=LogLevel.INFO, description="It is debug, info, warning or error.")
    log_format: LogFormat = Field(default=LogFormat.TEXT, description="It is text or json.")


class ModelSettings(Settings):
    """The model of agents that are created without one."""

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    model: str = Field(
        description="It is a provider and a model, like openai:gpt-5.2; or give Agent(model=…) in the code."
    )


class TranscriptionSettings(Settings):
    """The model that transcribes recordings for agents that are created without a transcriber."""

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_")

    transcription_model: str | None = Field(
        default=None, description="It is a model of OpenAI, like openai:gpt-4o-mini-transcribe."
    )
