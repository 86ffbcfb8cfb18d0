"""pydantic-ai, the default engine: https://ai.pydantic.dev"""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

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

ENGINE = "pydantic-ai"
RETRIES = 2  # of a tool call with arguments that do not fit


@dataclass(frozen=True, slots=True)
class Run:
    """What the tools of one run are given: the copy whose tools they are, and the turn."""

    agent: Agent
    context: TurnContext
    handler: EventHandler


class PydanticAIEngine:
    """Runs agents on pydantic-ai.

    Of each template there is one runner, with the schemas and validators of its tools. Whose tools are called is told
    by the run.
    """

    def __init__(self) -> None:
        self._runners: WeakKeyDictionary[Agent, PydanticAgent[Run, str]] = WeakKeyDictionary()

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

        async def forward(_: RunContext[Run], events: AsyncIterable[AgentStreamEvent]) -> None:
            async for event in events:
                if delta := _text_delta(event):
                    await handler(TextDelta(delta))

        result = await self._runner(agent.template).run(
            text,
            model=model,
            instructions=agent.instructions or None,
            deps=Run(agent, context, handler),
            message_history=_messages(history),
            event_stream_handler=forward if stream and _can_stream(model) else None,
        )
        return Answer(result.output, [_item(message) for message in result.new_messages()])

    def _runner(self, template: Agent) -> PydanticAgent[Run, str]:
        if template not in self._runners:
            toolsets: list[AbstractToolset[Run]] = [_FunctionToolset(template)]
            if template.members:
                toolsets.append(_MemberToolset(self, template))
            self._runners[template] = PydanticAgent(deps_type=Run, retries=RETRIES, toolsets=toolsets)
        return self._runners[template]


class _Toolset(AbstractToolset[Run]):
    """Tools whose descriptions are the same in every run."""

    def __init__(self) -> None:
        self._tools: dict[str, ToolsetTool[Run]] = {}

    @property
    def id(self) -> str | None:
        return None

    def _add(self, name: str, description: str, schema: dict[str, Any], validator: Any) -> None:
        self._tools[name] = ToolsetTool(
            toolset=self,
            tool_def=ToolDefinition(name=name, description=description, parameters_json_schema=schema),
            max_retries=RETRIES,
            args_validator=validator,
        )

    async def get_tools(self, ctx: RunContext[Run]) -> dict[str, ToolsetTool[Run]]:
        return self._tools


class _FunctionToolset(_Toolset):
    """The tools of an agent's toolkits, each called on the clone of the run's own copy."""

    def __init__(self, template: Agent) -> None:
        super().__init__()
        for name, (_, function) in template.catalog.items():
            validator = function.definition.schema.function_schema.validator
            self._add(name, function.description, function.parameters, validator)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Run], tool: ToolsetTool[Run]
    ) -> Any:
        run = ctx.deps
        await run.handler(ToolStarted(name))
        try:
            return await run.agent.function(name).call(tool_args, run.context)
        except ToolError as error:
            raise ToolFailed(str(error)) from error
        finally:
            await run.handler(ToolEnded(name))


class _MemberToolset(_Toolset):
    """The members of a team, each as a tool that asks the one of the run's own copy."""

    def __init__(self, engine: PydanticAIEngine, template: Agent) -> None:
        super().__init__()
        self._engine = engine
        self._places = {member.tool_name: place for place, member in enumerate(template.members)}
        for member in template.members:
            self._add(member.tool_name, member.description, _TASK_SCHEMA, _TASK_VALIDATOR)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Run], tool: ToolsetTool[Run]
    ) -> Any:
        run = ctx.deps
        member = run.agent.members[self._places[name]]
        await run.handler(ToolStarted(name))
        try:
            answer = await self._engine.run(member, tool_args["task"], run.context, [], run.handler, stream=False)
        finally:
            await run.handler(ToolEnded(name))
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
