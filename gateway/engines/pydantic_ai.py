"""pydantic-ai, the default engine: https://ai.pydantic.dev"""

from collections.abc import AsyncIterable, Sequence
from functools import cache
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import AgentStreamEvent, RunContext, ToolFailed
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from gateway.agent import Agent
from gateway.engines import Answer
from gateway.events import EventHandler, TextDelta, ToolEnded, ToolStarted
from gateway.sessions import Role, SessionItem
from oauth import SettingError
from toolkits import ToolError, TurnContext
from toolkits.function import ToolDefinition as Definition

ENGINE = "pydantic-ai"
RETRIES = 2  # of a tool call with arguments that do not fit


class PydanticAIEngine:
    """Runs agents on pydantic-ai. Copies of an agent share the model; the toolkits go in with each run."""

    def __init__(self) -> None:
        self._runner: PydanticAgent[TurnContext, str] = PydanticAgent(deps_type=TurnContext, retries=RETRIES)

    def check(self, agent: Agent) -> None:
        for each in agent.team():
            _model(each.model)

    async def run(
        self,
        agent: Agent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
    ) -> Answer:
        model = _model(agent.model)

        async def forward(_: RunContext[TurnContext], events: AsyncIterable[AgentStreamEvent]) -> None:
            async for event in events:
                if delta := _text_delta(event):
                    await handler(TextDelta(delta))

        result = await self._runner.run(
            text,
            model=model,
            instructions=agent.instructions or None,
            deps=context,
            message_history=_messages(history),
            toolsets=[_FunctionToolset(agent, handler), _MemberToolset(self, agent, handler)],
            event_stream_handler=forward if stream and _can_stream(model) else None,
        )
        return Answer(result.output, [_item(message) for message in result.new_messages()])


class _FunctionToolset(AbstractToolset[TurnContext]):
    """The tools of one copy's toolkits."""

    def __init__(self, agent: Agent, handler: EventHandler) -> None:
        self._functions = agent.functions
        self._handler = handler

    @property
    def id(self) -> str | None:
        return None

    async def get_tools(self, ctx: RunContext[TurnContext]) -> dict[str, ToolsetTool[TurnContext]]:
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=_tool_definition(function.definition),
                max_retries=RETRIES,
                args_validator=function.definition.schema.function_schema.validator,
            )
            for name, function in self._functions.items()
        }

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: RunContext[TurnContext],
        tool: ToolsetTool[TurnContext],
    ) -> Any:
        function = self._functions[name]
        await self._handler(ToolStarted(name))
        try:
            return await function.call(tool_args, ctx.deps)
        except ToolError as error:
            raise ToolFailed(str(error)) from error
        finally:
            await self._handler(ToolEnded(name))


class _MemberToolset(AbstractToolset[TurnContext]):
    """The members of one copy's team, each as a tool that asks it."""

    def __init__(self, engine: PydanticAIEngine, agent: Agent, handler: EventHandler) -> None:
        self._engine = engine
        self._members = {member.tool_name: member for member in agent.members}
        self._handler = handler

    @property
    def id(self) -> str | None:
        return None

    async def get_tools(self, ctx: RunContext[TurnContext]) -> dict[str, ToolsetTool[TurnContext]]:
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(name=name, description=member.description, parameters_json_schema=_TASK_SCHEMA),
                max_retries=RETRIES,
                args_validator=_TASK_VALIDATOR,
            )
            for name, member in self._members.items()
        }

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: RunContext[TurnContext],
        tool: ToolsetTool[TurnContext],
    ) -> Any:
        await self._handler(ToolStarted(name))
        try:
            answer = await self._engine.run(
                self._members[name], tool_args["task"], ctx.deps, [], self._handler, stream=False
            )
        finally:
            await self._handler(ToolEnded(name))
        return answer.text


_TASK_SCHEMA = {
    "type": "object",
    "properties": {"task": {"type": "string", "description": "What it is asked, with all that it needs to know."}},
    "required": ["task"],
    "additionalProperties": False,
}
_TASK_VALIDATOR = SchemaValidator(
    core_schema.typed_dict_schema({"task": core_schema.typed_dict_field(core_schema.str_schema())})
)


@cache
def _tool_definition(definition: Definition) -> ToolDefinition:
    return ToolDefinition(
        name=definition.name, description=definition.description, parameters_json_schema=definition.parameters
    )


def _model(model: Any) -> Model:
    return model if isinstance(model, Model) else _infer(model)


@cache
def _infer(name: str) -> Model:
    try:
        return infer_model(name)
    except ImportError as error:
        extra = name.partition(":")[0].partition("-")[0]
        raise SettingError(
            f"The model {name!r} needs a package that is not installed: pip install 'understudy[{extra}]'."
        ) from error
    except (UserError, ValueError) as error:
        raise SettingError(f"The model {name!r} (UNDERSTUDY_MODEL, or Agent(model=…)) cannot be had: {error}") from None


def _can_stream(model: Model) -> bool:
    return not isinstance(model, FunctionModel) or model.stream_function is not None


def _text_delta(event: AgentStreamEvent) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _messages(history: Sequence[SessionItem]) -> list[ModelMessage]:
    messages: list[ModelMessage] = []
    for item in history:
        if item.engine == ENGINE:
            messages += ModelMessagesTypeAdapter.validate_json(item.data)
        elif item.role is Role.USER:
            said = f"{item.speaker}: {item.text}" if item.speaker else item.text
            messages.append(ModelRequest([UserPromptPart(said)]))
        elif item.role is Role.ASSISTANT:
            messages.append(ModelResponse([TextPart(item.text)]))
    return messages


def _item(message: ModelMessage) -> SessionItem:
    data = ModelMessagesTypeAdapter.dump_json([message]).decode()
    if isinstance(message, ModelResponse):
        role = Role.TOOL if message.tool_calls else Role.ASSISTANT
        return SessionItem(role, message.text or "", ENGINE, data)
    prompts = [part.content for part in message.parts if isinstance(part, UserPromptPart)]
    text = "\n".join(prompt for prompt in prompts if isinstance(prompt, str))
    return SessionItem(Role.USER if prompts else Role.TOOL, text, ENGINE, data)
