"""The engine that runs agents on the OpenAI Agents SDK."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import openai.lib.streaming.responses
import openai.resources.responses.responses  # noqa: F401 - otherwise the first run imports it, and blocks the loop
from agents import Agent as SDKAgent
from agents import RunConfig, Runner, RunResult, RunResultStreaming
from agents.exceptions import MaxTurnsExceeded as SDKMaxTurnsExceeded
from agents.exceptions import UserError
from agents.models.interface import Model
from agents.models.multi_provider import MultiProvider
from agents.run import DEFAULT_MAX_TURNS
from openai import OpenAIError

from gateway.engines.openai_agents.history import ENGINE, to_content, to_files, to_item, to_messages
from gateway.engines.openai_agents.native_tools import NativeToolWatch
from gateway.engines.openai_agents.replay import Replay
from gateway.engines.openai_agents.tools import SDKRun, to_sdk_tool
from gateway.engines.prompts import answer_to, prompt_for
from gateway.engines.providers import missing_key
from gateway.engines.remote_tools import remote_tools
from gateway.engines.tools import AgentTool, native_context, own_tools
from gateway.runs.engine import Answer, MaxTurnsExceededError, RunnableAgent
from gateway.runs.events import EventHandler, TextDelta, TokensUsed
from gateway.runs.items import SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from oauth import SettingError
from toolkits import Attachment, QuotedMessage, TurnContext
from toolkits.text import storable_json

OPENAI = "openai:"  # the prefix of OpenAI's models in pydantic-ai and LangChain; the SDK has none


class OpenAIAgentsEngine:
    """Runs agents with the SDK's `Runner`.

    Each template has one SDK agent. Each run passes an `SDKRun` as its context, which has the copy of the agent on
    which the tools act.
    """

    def __init__(self) -> None:
        self._agents: WeakKeyDictionary[RunnableAgent, SDKAgent[Any]] = WeakKeyDictionary()

    def check(self, agent: RunnableAgent) -> None:
        if agent.native is None:
            _check_model(agent.model)
            self._template_agent(agent)  # built now, because building it in a turn would block the event loop

    async def run(
        self,
        agent: RunnableAgent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        attachments: Sequence[Attachment] = (),
        quoted: Sequence[QuotedMessage] = (),
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        run = SDKRun(agent, context, handler, journal, replay=Replay(journal, handler))
        watch = NativeToolWatch(run)
        config = RunConfig(tracing_disabled=True, tool_error_formatter=watch.note_error)
        prompt = await prompt_for(agent, text, attachments, quoted, history, _takes)
        said: list[Any] = [*to_messages(history), {"role": "user", "content": to_content(prompt)}]
        sdk_context: Any = run if agent.native is None else native_context(agent, context)
        sdk_agent = run.replay.wrap(await self._agent(run))
        limit = max_turns or DEFAULT_MAX_TURNS
        result: RunResult | RunResultStreaming
        try:
            if stream:
                result = Runner.run_streamed(
                    sdk_agent, said, context=sdk_context, hooks=watch, run_config=config, max_turns=limit
                )
                await _forward(result, handler)
            else:
                result = await Runner.run(
                    sdk_agent, said, context=sdk_context, hooks=watch, run_config=config, max_turns=limit
                )
        except SDKMaxTurnsExceeded as error:
            if max_turns is None:
                raise
            raise MaxTurnsExceededError(agent, max_turns) from error
        if result.interruptions:
            raise NotImplementedError(
                "the SDK agent waits for its own approval, which is not supported yet: "
                "use a toolkit with @tool(approval=True)"
            )
        await handler(TokensUsed(result.context_wrapper.usage.total_tokens))
        added = [said[-1], *result.to_input_list()[len(said) :]]
        items = [to_item(dict(item)) for item in added]
        return answer_to(prompt, _text(result.final_output), items, to_files(added))

    async def _agent(self, run: SDKRun) -> SDKAgent[Any]:
        agent, remote = run.agent, list[AgentTool]()
        if agent.mcp_servers:  # their tools may differ from turn to turn
            remote = list(await remote_tools(agent, run.context))
        if agent.native is not None:
            own = [to_sdk_tool(tool, run) for tool in [*own_tools(agent.template), *remote]]
            return replace(agent.native, tools=[*agent.native.tools, *own]) if own else agent.native
        built = self._template_agent(agent)
        return replace(
            built,
            model=_model(agent.model),
            instructions=agent.instructions or None,  # a copy's instructions may contain values of the request
            tools=[*built.tools, *map(to_sdk_tool, remote)],
        )

    def _template_agent(self, agent: RunnableAgent) -> SDKAgent[Any]:
        if agent.template not in self._agents:
            self._agents[agent.template] = SDKAgent(
                name=agent.name,
                model=_model(agent.model),
                tools=[to_sdk_tool(tool) for tool in own_tools(agent.template)],
            )
        return self._agents[agent.template]


async def _forward(result: RunResultStreaming, handler: EventHandler) -> None:
    try:
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                await handler(TextDelta(event.data.delta))
    finally:
        if not result.is_complete:
            result.cancel()
        if result.run_loop_task is not None:
            await asyncio.gather(result.run_loop_task, return_exceptions=True)  # its exception was raised above


def _takes(media_type: str) -> bool:
    """Return whether the model takes files of a media type: OpenAI's models take images and PDFs."""
    return True


def _model(model: Any) -> Any:
    return model.removeprefix(OPENAI) if isinstance(model, str) else model


def _check_model(model: Any) -> None:
    if isinstance(model, Model):
        return
    name = _model(model)
    if not isinstance(name, str) or ":" in name:
        raise SettingError(
            f"The model {model!r} (UNDERSTUDY_MODEL, or Agent(model=…)) does not work with the engine {ENGINE!r}: "
            "name a model of OpenAI, like openai:gpt-5.2, or give a model object of the Agents SDK."
        )
    try:
        MultiProvider().get_model(name)
    except (OpenAIError, UserError, ImportError) as error:
        raise missing_key(f"{OPENAI}{name}") or SettingError(
            f"The model {model!r} (UNDERSTUDY_MODEL, or Agent(model=…)) cannot be used: {error}"
        ) from error


def _text(output: Any) -> str:
    return output if isinstance(output, str) else storable_json(output)
