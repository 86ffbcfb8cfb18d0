"""The schema of a YAML file that describes a gateway."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from gateway.settings import AmbiguousSends, PrivateAnswers, SignInCode, WhenBusy


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it has to be a string")  # noqa: TRY004 - pydantic reports only ValueError
    return value


# A string that may contain names that only a request fills in.
OpenString = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ToolkitConfig(BaseModel):
    """A toolkit: its class and its arguments."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    use: str
    """The name of an installed toolkit, for example gmail, or the path of its class: package.module:Name."""


def _toolkit(value: Any) -> Any:
    return {"use": value} if isinstance(value, str) else value


class ProviderConfig(BaseModel):
    """A provider at which people connect their accounts. Without `use` it is any OAuth 2.0 provider."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    use: str | None = None
    """google, github, or the path of another class: package.module:Name. All other keys are its arguments."""


class MCPServerConfig(Section):
    """An MCP server whose tools the agent may call."""

    server: str | list[str]
    """The URL of a streamable HTTP endpoint, or a command and its arguments."""
    name: str | None = None
    env: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    auth: str | None = None
    """The provider whose access tokens the server gets, each person's in their own turns."""
    scopes: list[str] = []
    private: bool = False
    approval: bool = False


class AgentConfig(Section):
    """An agent: described here, or written in Python."""

    use: str | None = None
    """The path of a flow, an Agent or an agent of a framework: package.module:name."""
    model: str | None = None
    """A provider and a model, for example openai:gpt-5.2. Default: UNDERSTUDY_MODEL."""
    engine: str | None = None
    """pydantic-ai, langgraph or openai-agents."""
    instructions: OpenString = ""
    description: str = ""
    toolkits: list[Annotated[ToolkitConfig, BeforeValidator(_toolkit)]] = []
    members: list[str] = []
    """The names of the agents that it may ask."""
    mcp_servers: list[MCPServerConfig] = []
    when_busy: WhenBusy = WhenBusy.QUEUE
    summarizer: str | None = None
    """The name of the agent that summarizes the older part of a conversation."""
    transcriber: str | None = None
    """The model that transcribes recordings, like openai:whisper-1. Default: UNDERSTUDY_TRANSCRIPTION_MODEL."""
    prompts: list[str] = []
    """Suggestions for a first message, which Slack shows."""


class RouteConfig(Section):
    """Which agent answers which messages: a message has to match every key that is given."""

    agent: str
    channel: str | None = None
    """The channel as under `interfaces`: slack is only the app without a name."""
    workspace: str | None = None
    """The Slack workspace, the Telegram bot's id, the WhatsApp number."""
    command: str | None = None
    """The command that a message begins with, for example /mail."""


class SessionsConfig(Section):
    """How much of a conversation the model reads."""

    tokens: int | None = Field(default=None, ge=100)
    idle_hours: float | None = Field(default=None, gt=0)


class LimitsConfig(Section):
    """The limits of docs/settings.md, in lower case and without UNDERSTUDY_."""

    max_concurrent_turns: int | None = Field(default=None, ge=1)
    max_waiting_messages: int | None = Field(default=None, ge=1)
    turns_per_minute: int | None = Field(default=None, ge=1)
    turns_per_day: int | None = Field(default=None, ge=1)
    turn_tries: int | None = Field(default=None, ge=1)
    delivery_tries: int | None = Field(default=None, ge=1)
    answer_within_hours: float | None = Field(default=None, gt=0)
    keep_days: float | None = Field(default=None, gt=0)
    max_attachment_mb: float | None = Field(default=None, gt=0)
    takeover_seconds: float | None = Field(default=None, ge=1)


class GatewayConfig(Section):
    """A gateway."""

    agents: dict[str, AgentConfig] = Field(min_length=1)
    """The agents, by name."""
    providers: dict[str, ProviderConfig] = {}
    """The providers, by the name that `auth` of a toolkit or server gives. google and github exist already."""
    interfaces: dict[str, dict[str, Any] | None] = {}
    """The channels by name, with their arguments: slack, or slack.sales for one of several Slack apps. Default: those
    without a name that the environment sets up."""
    routes: list[RouteConfig] = []
    """Needed if several agents answer. One route has only an agent, which answers all other messages."""
    request_context: list[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]] = []
    """The names that a host application adds to each request."""
    database: str | None = None
    base_url: str | None = None
    secret_key: str | None = None
    private_answers: PrivateAnswers | None = None
    sign_in_code: SignInCode | None = None
    ambiguous_sends: AmbiguousSends | None = None
    audit_content: bool | None = None
    answer_edits: bool | None = None
    sessions: SessionsConfig = SessionsConfig()
    limits: LimitsConfig = LimitsConfig()
