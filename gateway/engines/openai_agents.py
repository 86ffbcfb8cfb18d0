"""The OpenAI Agents SDK: https://openai.github.io/openai-agents-python/

Tools get the turn explicitly: the context of a native agent's run (`RunContextWrapper.context`), which handoffs and
agents used as tools share, is the `TurnContext`, or what `Agent(make_context=…)` made of it. The SDK's tracing, which
sends what was said to OpenAI's dashboard, is off.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import openai.lib.streaming.responses
import openai.resources.responses.responses  # noqa: F401 - else the first run imports it, and the loop stands still
from agents import Agent as SDKAgent
from agents import FunctionTool as SDKTool
from agents import RunConfig, RunContextWrapper, RunHooks, Runner, RunResult, RunResultStreaming
from agents.exceptions import MaxTurnsExceeded as SDKMaxTurnsExceeded
from agents.exceptions import UserError
from agents.models.interface import Model
from agents.models.multi_provider import MultiProvider
from agents.run import DEFAULT_MAX_TURNS
from agents.run_config import ToolErrorFormatterArgs
from agents.tool_context import ToolContext
from openai import OpenAIError
from pydantic import TypeAdapter

from gateway.engines.openai_agents_replay import OwnTool, Replay
from gateway.engines.tools import AgentTool, Run, own_tools, remote_tools, tell_started
from gateway.runs.engine import Answer, MaxTurnsExceededError, RunnableAgent
from gateway.runs.events import EventHandler, TextDelta, ToolEnded, ToolOutcome, ToolStarted
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from oauth import ConsentRequiredError, SettingError
from toolkits import ToolError, TurnContext
from toolkits.text import storable_json

ENGINE = "openai-agents"
OPENAI = "openai:"  # how pydantic-ai and LangChain name OpenAI's models; the SDK has no prefix for them

_STORED = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class _Run(Run):
    replay: Replay = field(kw_only=True)


class OpenAIAgentsEngine:
    """Runs agents with the SDK's `Runner`. Of each template there is one SDK agent."""

    def __init__(self) -> None:
        self._agents: WeakKeyDictionary[RunnableAgent, SDKAgent[Any]] = WeakKeyDictionary()

    def check(self, agent: RunnableAgent) -> None:
        if agent.native is None:
            _check_model(agent.model)
            self._template_agent(agent)  # made now, while nobody waits: it holds up the loop

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
        run = _Run(agent, context, handler, journal, replay=Replay(journal, handler))
        watch = _ToolWatch(run)
        config = RunConfig(tracing_disabled=True, tool_error_formatter=watch.note_error)
        said: list[Any] = [*_messages(history), {"role": "user", "content": text}]
        given: Any = run if agent.native is None else _native_context(run)
        sdk_agent = run.replay.of(await self._agent(run))
        limit = max_turns or DEFAULT_MAX_TURNS
        result: RunResult | RunResultStreaming
        try:
            if stream:
                result = Runner.run_streamed(
                    sdk_agent, said, context=given, hooks=watch, run_config=config, max_turns=limit
                )
                await _forward(result, handler)
            else:
                result = await Runner.run(
                    sdk_agent, said, context=given, hooks=watch, run_config=config, max_turns=limit
                )
        except SDKMaxTurnsExceeded as error:
            if max_turns is None:
                raise
            raise MaxTurnsExceededError(agent, max_turns) from error
        if result.interruptions:
            raise NotImplementedError("the agent waits for an approval, which is not supported yet")
        added = [said[-1], *result.to_input_list()[len(said) :]]
        return Answer(_text(result.final_output), [_item(dict(item)) for item in added])

    async def _agent(self, run: _Run) -> SDKAgent[Any]:
        agent, remote = run.agent, list[AgentTool]()
        if agent.mcp_servers:  # whose tools may be other ones in each turn
            remote = list(await remote_tools(agent, run.context))
        if agent.native is not None:
            own = [_tool(tool, run) for tool in [*own_tools(agent.template), *remote]]
            return replace(agent.native, tools=[*agent.native.tools, *own]) if own else agent.native
        made = self._template_agent(agent)
        # A copy may have instructions of its own, with what its request has in them.
        return replace(
            made,
            model=_model(agent.model),
            instructions=agent.instructions or None,
            tools=[*made.tools, *map(_tool, remote)],
        )

    def _template_agent(self, agent: RunnableAgent) -> SDKAgent[Any]:
        if agent.template not in self._agents:
            self._agents[agent.template] = SDKAgent(
                name=agent.name,
                model=_model(agent.model),
                tools=[_tool(tool) for tool in own_tools(agent.template)],
            )
        return self._agents[agent.template]


class _ToolWatch(RunHooks[Any]):
    """Tells a run's handler of the tools that a native agent has of its own."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._failed: dict[str, ToolOutcome] = {}
        self._told: set[str] = set()

    def note_error(self, failure: ToolErrorFormatterArgs[Any]) -> None:
        """Is told of a tool that raised, whose error the SDK puts into words of its own for the model."""
        needs_consent = isinstance(failure.error, ConsentRequiredError)
        self._failed[failure.call_id] = ToolOutcome.SIGN_IN if needs_consent else ToolOutcome.ERROR

    def _is_native(self, tool: Any) -> bool:
        """Whether it is none of ours, which tell of themselves."""
        return not isinstance(tool, OwnTool)

    async def on_tool_start(self, context: RunContextWrapper[Any], agent: Any, tool: Any) -> None:
        if self._is_native(tool) and isinstance(context, ToolContext) and not self._run.replay.was_called(context):
            key, arguments = self._run.replay.key(context), {"arguments": context.tool_arguments}
            self._told.add(key)
            await tell_started(self._run.handler, ToolStarted(key, tool.name, arguments))

    async def on_tool_end(self, context: RunContextWrapper[Any], agent: Any, tool: Any, result: object) -> None:
        if isinstance(context, ToolContext) and (key := self._run.replay.key(context)) in self._told:
            outcome = self._failed.get(context.tool_call_id, ToolOutcome.OK)
            error = str(result) if outcome is ToolOutcome.ERROR else None
            await self._run.handler(ToolEnded(key, tool.name, outcome, result, error))


def _tool(tool: AgentTool, run: _Run | None = None) -> SDKTool:
    """A tool of an agent as the SDK takes it, for one run or for the run that its context is."""

    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        try:
            turn = run or context.context
            return await tool.call_for_text(turn, arguments, turn.replay.call_id(context))
        except ToolError as error:
            return str(error)

    return OwnTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=tool.parameters,
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )


def _native_context(run: _Run) -> Any:
    return run.context if run.agent.make_context is None else run.agent.make_context(run.context)


async def _forward(result: RunResultStreaming, handler: EventHandler) -> None:
    try:
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                await handler(TextDelta(event.data.delta))
    finally:
        if not result.is_complete:
            result.cancel()
        if result.run_loop_task is not None:
            await asyncio.gather(result.run_loop_task, return_exceptions=True)  # what it raised has been raised above


def _model(model: Any) -> Any:
    return model.removeprefix(OPENAI) if isinstance(model, str) else model


def _check_model(model: Any) -> None:
    if isinstance(model, Model):
        return
    name = _model(model)
    if not isinstance(name, str) or ":" in name:
        raise SettingError(
            f"The model {model!r} (UNDERSTUDY_MODEL, or Agent(model=…)) is none for the engine {ENGINE!r}: "
            "name one of OpenAI's, like openai:gpt-5.2, or give a model object of the Agents SDK."
        )
    try:
        MultiProvider().get_model(name)
    except (OpenAIError, UserError, ImportError) as error:
        raise SettingError(
            f"The model {model!r} (UNDERSTUDY_MODEL, or Agent(model=…)) cannot be had: {error}"
        ) from error


def _messages(history: Sequence[SessionItem]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for item in history:
        if item.engine == ENGINE:
            messages.append(_STORED.validate_json(item.data))
        elif item.role is Role.USER:
            messages.append({"role": "user", "content": f"{item.speaker}: {item.text}" if item.speaker else item.text})
        elif item.role is Role.ASSISTANT:
            messages.append({"role": "assistant", "content": item.text})
    return messages


def _text(output: Any) -> str:
    return output if isinstance(output, str) else storable_json(output)


def _item(item: dict[str, Any]) -> SessionItem:
    data = storable_json(item)
    role = {"user": Role.USER, "assistant": Role.ASSISTANT}.get(item.get("role", ""), Role.TOOL)
    content = item.get("content", "") if role is not Role.TOOL else ""
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return SessionItem(role, text, ENGINE, data)
