"""pydantic-ai, the default engine: https://ai.pydantic.dev"""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import AgentRunResult, AgentStreamEvent, DeferredToolRequests, RunContext, ToolFailed
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import AbstractCapability, WrapModelRequestHandler, WrapToolExecuteHandler
from pydantic_ai.exceptions import UsageLimitExceeded, UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestContext, infer_model
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_ai.usage import UsageLimits
from pydantic_core import PydanticSerializationError

from gateway.engines.tools import AgentTool, Run, own_tools, remote_tools, watched
from gateway.executor import equip_loop
from gateway.runs.engine import Answer, MaxTurnsExceededError, RunnableAgent
from gateway.runs.events import EventHandler, TextDelta
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from oauth import SettingError
from toolkits import ToolError, TurnContext
from toolkits.text import storable_json, storable_value

ENGINE = "pydantic-ai"
RETRIES = 2  # of a tool call with arguments that do not fit


class PydanticAIEngine:
    """Runs agents on pydantic-ai.

    Of each template there is one runner, with the schemas and validators of its tools. Whose tools are called is told
    by the run.
    """

    def __init__(self) -> None:
        self._runners: WeakKeyDictionary[RunnableAgent, PydanticAgent[Run, str]] = WeakKeyDictionary()

    def check(self, agent: RunnableAgent) -> None:
        if agent.native is None:
            _model(agent.model)

    async def run(
        self,
        agent: RunnableAgent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        async def forward(_: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
            async for event in events:
                if delta := _text_delta(event):
                    await handler(TextDelta(delta))

        run = Run(agent, context, handler, journal)
        messages, limits = _messages(history), UsageLimits(request_limit=max_turns) if max_turns is not None else None
        try:
            if agent.native is not None:
                result = await self._run_native(run, text, messages, forward if stream else None, limits)
            else:
                model = _model(agent.model)
                result = await self._runner(agent.template).run(
                    text,
                    model=model,
                    instructions=agent.instructions or None,
                    deps=run,
                    message_history=messages,
                    event_stream_handler=forward if stream and _can_stream(model) else None,
                    usage_limits=limits,
                )
        except UsageLimitExceeded as error:
            if max_turns is None:
                raise
            raise MaxTurnsExceededError(agent, max_turns) from error
        return Answer(_text(result.output), [_item(message) for message in result.new_messages()])

    async def _run_native(
        self, run: Run, text: str, messages: list[ModelMessage], forward: Any, limits: UsageLimits | None
    ) -> AgentRunResult[Any]:
        native: AbstractAgent[Any, Any] = run.agent.native
        context = run.context if run.agent.make_context is None else run.agent.make_context(run.context)
        streams = forward is not None and _can_stream(native.model)
        ours = _AgentToolset(run.agent.template, run)
        with AbstractAgent.using_thread_executor(equip_loop()):  # anyio's threads would not be replaced if they hang
            return await native.run(
                text,
                deps=context,
                message_history=messages,
                event_stream_handler=forward if streams else None,
                capabilities=[_Replay(run), _ToolWatch(run, ours)],
                toolsets=[ours],
                usage_limits=limits,
            )

    def _runner(self, template: RunnableAgent) -> PydanticAgent[Run, str]:
        if template not in self._runners:
            self._runners[template] = PydanticAgent(
                deps_type=Run, retries=RETRIES, toolsets=[_AgentToolset(template)], capabilities=[_Replay()]
            )
        return self._runners[template]


class _AgentToolset(AbstractToolset[Any]):
    """The tools of an agent, each called on the run's own copy.

    Args:
        run: the run it is for, where the run's dependency is not one: a native agent has a dependency of its own.
    """

    def __init__(self, template: RunnableAgent, run: Run | None = None) -> None:
        self._run = run
        self._own: dict[str, ToolsetTool[Any]] = {tool.name: self._describe(tool) for tool in own_tools(template)}
        self.names = frozenset(self._own)  # of a toolset that is for one run: also those of MCP servers

    def _describe(self, tool: AgentTool) -> "_Tool":
        definition = ToolDefinition(
            name=tool.name, description=tool.description, parameters_json_schema=tool.parameters
        )
        return _Tool(toolset=self, tool_def=definition, max_retries=RETRIES, args_validator=tool.validator, tool=tool)

    @property
    def id(self) -> str | None:
        return None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        run: Run = self._run or ctx.deps
        if not run.agent.mcp_servers:
            return self._own
        remote = await remote_tools(run.agent, run.context)
        tools = {**self._own, **{tool.name: self._describe(tool) for tool in remote}}
        if self._run is not None:
            self.names = frozenset(tools)
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        assert isinstance(tool, _Tool)
        try:
            return await tool.tool.call(self._run or ctx.deps, tool_args, _call_id(ctx))
        except ToolError as error:
            raise ToolFailed(str(error)) from error


@dataclass(kw_only=True)
class _Tool(ToolsetTool[Any]):
    tool: AgentTool


class _Replay(AbstractCapability[Any]):
    """Answers a model request as it was answered in an earlier run of the turn.

    What is kept are the answers that call tools, before these are called.

    Args:
        run: as in `_AgentToolset`.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        journal = (self._run or ctx.deps).journal
        kept = journal.response(ctx.run_step)
        if kept is not None:
            response = ModelMessagesTypeAdapter.validate_json(kept)[0]
            assert isinstance(response, ModelResponse)
            return response
        response = _storable(await handler(request_context))
        if response.tool_calls and journal.is_kept:
            await journal.add_response(ctx.run_step, ModelMessagesTypeAdapter.dump_json([response]).decode())
        return response


class _ToolWatch(AbstractCapability[Any]):
    """Tells a run's handler of the tools that a native agent has of its own, and repeats none of an earlier run."""

    def __init__(self, run: Run, ours: _AgentToolset) -> None:
        self._run = run
        self._ours = ours

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        if call.tool_name in self._ours.names:  # told of by itself
            return await handler(args)
        run, key = self._run, self._run.journal.key(_call_id(ctx))

        async def make() -> Any:
            async with watched(run.handler, call.tool_name, args, key=key) as watch:
                watch.result = await handler(args)
            return watch.result

        try:
            return await run.journal.call(key, call.tool_name, args, run.handler, make)
        except ToolError as error:
            raise ToolFailed(str(error)) from error


def _call_id(ctx: RunContext[Any]) -> str:
    """A call's id, in each run of a turn the same: a model may use one more than once."""
    return f"{ctx.run_step}:{ctx.tool_call_id}"


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


def _can_stream(model: Any) -> bool:
    return not isinstance(model, FunctionModel) or model.stream_function is not None


def _storable(response: ModelResponse) -> ModelResponse:
    """A model's answer with its texts as they can be stored, and sent back to the model."""
    try:
        ModelMessagesTypeAdapter.dump_json([response])
    except PydanticSerializationError:
        fields = storable_value(ModelMessagesTypeAdapter.dump_python([response], mode="json"))
        (cleaned,) = ModelMessagesTypeAdapter.validate_python(fields)
        assert isinstance(cleaned, ModelResponse)
        return cleaned
    return response


def _text(output: Any) -> str:
    if isinstance(output, DeferredToolRequests):
        raise NotImplementedError("the agent waits for an approval or an external tool, which is not supported yet")
    return output if isinstance(output, str) else storable_json(output)


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
