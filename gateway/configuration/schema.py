"""What may stand in a gateway's file."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from gateway.settings import AmbiguousSends, PrivateAnswers, SignInCode, WhenBusy


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it has to be a text")  # noqa: TRY004 - pydantic takes no other
    return value


# A text in which names of the request may stay open.
OpenString = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ToolkitConfig(BaseModel):
    """A toolkit: what it is, and its arguments."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    use: str
    """The name of an installed toolkit, like gmail, or where its class is: package.module:Name."""


def _toolkit(value: Any) -> Any:
    return {"use": value} if isinstance(value, str) else value


class ProviderConfig(BaseModel):
    """A provider that people connect their accounts at. Without `use` it is one that keeps to OAuth 2.0."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    use: str | None = None
    """google or github, or where another is: package.module:Name; what follows are its arguments."""


class MCPServerConfig(Section):
    """An MCP server whose tools the agent may call."""

    server: str | list[str]
    """The address of a streamable HTTP endpoint, or a command and its arguments."""
    name: str | None = None
    env: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    auth: str | None = None
    """The provider whose access token the server wants of each person."""
    scopes: list[str] = []
    private: bool = False
    approval: bool = False


class AgentConfig(Section):
    """An agent: one of its own, or one that is in Python."""

    use: str | None = None
    """Where a flow, an Agent or an agent of a framework is: package.module:name."""
    model: str | None = None
    """A provider and a model, like openai:gpt-5.2; else UNDERSTUDY_MODEL."""
    engine: str | None = None
    """pydantic-ai, langgraph or openai-agents."""
    instructions: OpenString = ""
    description: str = ""
    toolkits: list[Annotated[ToolkitConfig, BeforeValidator(_toolkit)]] = []
    members: list[str] = []
    """The names of agents that it may ask."""
    mcp_servers: list[MCPServerConfig] = []
    when_busy: WhenBusy = WhenBusy.QUEUE
    summarizer: str | None = None
    """The name of the agent that summarizes what is too long ago."""


class RouteConfig(Section):
    """Which agent answers what: all that is given has to fit."""

    agent: str
    channel: str | None = None
    workspace: str | None = None
    """The Slack workspace, the Telegram bot's id, the WhatsApp number."""
    command: str | None = None
    """What a message begins with, like /mail."""


class SessionsConfig(Section):
    """How much of a conversation the model reads."""

    tokens: int | None = Field(default=None, ge=100)
    idle_hours: float | None = Field(default=None, gt=0)


class LimitsConfig(Section):
    """See docs/settings.md, where these begin with UNDERSTUDY_."""

    max_concurrent_turns: int | None = Field(default=None, ge=1)
    max_waiting_messages: int | None = Field(default=None, ge=1)
    turn_tries: int | None = Field(default=None, ge=1)
    delivery_tries: int | None = Field(default=None, ge=1)
    answer_within_hours: float | None = Field(default=None, gt=0)
    keep_days: float | None = Field(default=None, gt=0)
    takeover_seconds: float | None = Field(default=None, ge=1)


class GatewayConfig(Section):
    """A gateway: https://json-schema.org describes what may stand in its file."""

    agents: dict[str, AgentConfig] = Field(min_length=1)
    """By name."""
    providers: dict[str, ProviderConfig] = {}
    """By the name that a toolkit's or a server's `auth` has; google and github are there."""
    interfaces: dict[str, dict[str, Any] | None] = {}
    """The arguments of each channel by its name, like slack; those that the environment sets up, unless given."""
    routes: list[RouteConfig] = []
    """Where there are several agents; one route has nothing but its agent, for all the rest."""
    request_context: list[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]] = []
    """Names that a host application adds to each request."""
    database: str | None = None
    base_url: str | None = None
    secret_key: str | None = None
    private_answers: PrivateAnswers | None = None
    sign_in_code: SignInCode | None = None
    ambiguous_sends: AmbiguousSends | None = None
    audit_content: bool | None = None
    sessions: SessionsConfig = SessionsConfig()
    limits: LimitsConfig = LimitsConfig()
