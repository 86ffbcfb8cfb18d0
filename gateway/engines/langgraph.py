"""LangGraph and LangChain's agents on it: https://docs.langchain.com/oss/python/langgraph/overview

Tools get the turn explicitly: a native graph has the `TurnContext` (or what `Agent(make_context=…)` made of it) as its
run context, so as `runtime.context` in a `ToolRuntime` or a `Runtime`, and the `TurnContext` itself in
`config["configurable"]["turn_context"]`, which reaches sub-graphs with other schemas too.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool, ToolException
from langgraph.constants import CONFIG_KEY_CHECKPOINTER
from langgraph.errors import GraphRecursionError
from langgraph.pregel import Pregel
from pydantic import ConfigDict, PrivateAttr, TypeAdapter

from gateway.engines.langgraph_checkpoints import THREAD, Checkpoints
from gateway.engines.tools import AgentTool, FunctionTool, Run, own_tools, remote_tools, tell_started
from gateway.runs.calls import CallCredentials
from gateway.runs.engine import Answer, MaxTurnsExceededError, RunnableAgent
from gateway.runs.events import EventHandler, TextDelta, ToolEnded, ToolOutcome, ToolStarted
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import NO_JOURNAL, CallNotRepeatedError, EngineJournal
from oauth import ConsentRequiredError, SettingError
from toolkits import ToolError, Toolkit, TurnContext
from toolkits.text import storable_json

ENGINE = "langgraph"
TURN_CONTEXT = "turn_context"  # in config["configurable"]
RUN = "understudy_run"
CALL_ID = "understudy_call_id"

_STORED = TypeAdapter(dict[str, Any])


class LangGraphEngine:
    """Runs agents with LangChain's `create_agent`, and any compiled graph whose state has `messages`.

    Of each template there is one graph. Whose tools are called is told by the run's configuration.
    """

    def __init__(self) -> None:
        self._graphs: WeakKeyDictionary[RunnableAgent, Pregel[Any, Any, Any, Any]] = WeakKeyDictionary()

    def check(self, agent: RunnableAgent) -> None:
        if agent.native is None:
            self._template_graph(agent)  # made now, while nobody waits: it holds up the loop
        elif agent.mcp_servers:
            raise SettingError(
                f"Agent({agent.name!r}) is a graph, which has to be built with its tools: it takes no mcp_servers."
            )
        elif isinstance(agent.native, Pregel) and "messages" not in agent.native.channels:
            raise SettingError(
                f"The graph of Agent({agent.name!r}) has no 'messages' in its state: "
                "a conversation goes in and out there, so give its state that key, as MessagesState has it."
            )

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
        graph, run = await self._graph(agent, context), Run(agent, context, handler, journal)
        callbacks: list[BaseCallbackHandler] = []
        if agent.native is not None:
            callbacks = [watch := _ToolWatch(run)]
            context = replace(context, credential_source=CallCredentials(context.credential_source, watch.current_call))
        said = [*_messages(history), HumanMessage(text)]
        for message in said:
            message.id = message.id or str(uuid4())
        # One thread is one turn: what went before is told by us, not by a checkpointer.
        thread_id = THREAD if journal.is_kept else str(uuid4())
        configurable = {"thread_id": thread_id, TURN_CONTEXT: context, RUN: run}
        checkpoints = Checkpoints(journal, agent.native)
        checkpoints.history, checkpoints.prompt_id = [str(message.id) for message in said[:-1]], str(said[-1].id)
        if journal.is_kept:
            configurable[CONFIG_KEY_CHECKPOINTER] = checkpoints
        config = RunnableConfig(callbacks=callbacks, configurable=configurable)
        if max_turns is not None:
            config["recursion_limit"] = 2 * max_turns  # a step for the model and one for its tools
        resumes = checkpoints.restore(text)
        state: dict[str, Any] = {}
        try:
            async for mode, chunk in graph.astream(
                None if resumes else {"messages": said},
                config,
                context=context if agent.make_context is None else agent.make_context(context),
                stream_mode=["values", "messages"] if stream else ["values"],
                durability="sync" if journal.is_kept else None,
            ):
                if mode == "values":
                    state = chunk
                elif delta := _text_delta(chunk[0]):
                    await handler(TextDelta(delta))
        except GraphRecursionError as error:
            if max_turns is None:
                raise
            raise MaxTurnsExceededError(agent, max_turns) from error
        finally:
            if not journal.is_kept and isinstance(graph, Pregel) and graph.checkpointer not in (None, True, False):
                await graph.checkpointer.adelete_thread(thread_id)  # type: ignore[union-attr]
        if "__interrupt__" in state:
            raise NotImplementedError("the graph waits at an interrupt, which is not supported yet")
        return _answer(checkpoints.history, state["messages"])

    async def _graph(self, agent: RunnableAgent, context: TurnContext) -> Any:
        if agent.native is not None:
            return agent.native
        if agent.mcp_servers:  # whose tools may be other ones in each turn
            return _make_graph(agent, await remote_tools(agent, context))
        if agent.instructions != agent.template.instructions:  # with what its request has in them
            return _make_graph(agent, [])
        return self._template_graph(agent)

    def _template_graph(self, agent: RunnableAgent) -> Any:
        if agent.template not in self._graphs:
            self._graphs[agent.template] = _make_graph(agent, [])
        return self._graphs[agent.template]


def _make_graph(agent: RunnableAgent, remote: Sequence[AgentTool]) -> Any:
    tools = [_Tool(tool) for tool in [*own_tools(agent.template), *remote]]
    return create_agent(_model(agent.model), tools, system_prompt=agent.instructions or None)


def as_tools(toolkit: Toolkit) -> list[BaseTool]:
    """A toolkit's tools, for a graph that is built by hand.

    Hand the same toolkit over with the graph, `Agent(graph, toolkits=[toolkit])`: each turn's tools then act on the
    turn's own clone of it.
    """
    return [_Tool(FunctionTool(function)) for function in toolkit.functions.values()]


class _Tool(BaseTool):
    """A tool of an agent as LangChain takes it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    handle_tool_error: bool = True
    _tool: AgentTool = PrivateAttr()

    def __init__(self, tool: AgentTool) -> None:
        super().__init__(name=tool.name, description=tool.description, args_schema=tool.parameters)
        self._tool = tool

    def _run(self, *_: Any, **__: Any) -> str:
        raise NotImplementedError("the tools of a turn are called with ainvoke")

    async def arun(
        self,
        tool_input: str | dict[str, Any],
        *args: Any,
        config: RunnableConfig | None = None,
        tool_call_id: str | None = None,
        **options: Any,
    ) -> Any:
        config = config or RunnableConfig()
        configurable = {**config.get("configurable", {}), CALL_ID: tool_call_id}
        config = RunnableConfig(**{**config, "configurable": configurable})
        return await super().arun(tool_input, *args, config=config, tool_call_id=tool_call_id, **options)

    async def _arun(self, config: RunnableConfig, **arguments: Any) -> str:
        run: Run | None = config.get("configurable", {}).get(RUN)
        if run is None:
            raise RuntimeError(f"{self.name} was called outside a turn")
        if isinstance(self._tool, FunctionTool) and self.name not in run.agent.catalog:
            raise RuntimeError(
                f"{self.name} is a tool of a toolkit that is not among those of Agent(graph, toolkits=…)"
            )
        try:
            call_id = _call_id(config["configurable"].get(CALL_ID), config.get("metadata"))
            return await self._tool.call_for_text(run, arguments, call_id)
        except ToolError as error:
            raise ToolException(str(error)) from error


class _ToolWatch(AsyncCallbackHandler):
    """Tells a run's handler of the tools that a native graph has of its own, at any depth."""

    raise_error = True

    def __init__(self, run: Run) -> None:
        self._run = run
        self._calls: dict[UUID, tuple[str, str]] = {}  # those that are under way: their keys and tools
        self._parents: dict[UUID, UUID | None] = {}
        self._loop = asyncio.get_running_loop()

    def current_call(self) -> str | None:
        """Return the key of the tool call that runs where this is called, if one does."""
        callbacks = (var_child_runnable_config.get() or {}).get("callbacks")
        return self._call_around(getattr(callbacks, "parent_run_id", None))

    def _call_around(self, run_id: UUID | None) -> str | None:
        while run_id is not None and run_id not in self._calls:
            run_id = self._parents.get(run_id)
        return self._calls[run_id][0] if run_id is not None else None

    async def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,
    ) -> None:
        self._parents[run_id] = parent_run_id

    async def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        tool_call_id: str | None = None,
        **_: Any,
    ) -> None:
        name = serialized.get("name") or "tool"
        self._parents[run_id] = parent_run_id
        if name not in self._run.agent.catalog:  # told of by itself
            outer, journal = self._call_around(parent_run_id), self._run.journal
            key = (journal if outer is None else journal.within(outer)).key(
                _call_id(tool_call_id, metadata) or str(run_id)
            )
            arguments = inputs or {"input": input_str}
            await self._do(self._begin(key, name, arguments))
            self._calls[run_id] = (key, name)

    async def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        failed = getattr(output, "status", None) == "error"
        await self._end(run_id, ToolOutcome.ERROR if failed else ToolOutcome.OK, getattr(output, "content", output))

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        await self._end(run_id, ToolOutcome.SIGN_IN if isinstance(error, ConsentRequiredError) else ToolOutcome.ERROR)

    async def _end(self, run_id: UUID, outcome: ToolOutcome, result: Any = None) -> None:
        if run_id in self._calls:
            key, name = self._calls.pop(run_id)
            await self._do(self._run.handler(ToolEnded(key, name, outcome, result)))

    async def _begin(self, key: str, name: str, arguments: dict[str, Any]) -> None:
        journal, handler = self._run.journal, self._run.handler
        if await journal.recall(key, name, arguments, handler, read_only=False) is not None:
            raise CallNotRepeatedError(name)  # a callback can stop a call, but not say what it returns
        await tell_started(handler, ToolStarted(key, name, arguments))

    async def _do(self, told: Coroutine[Any, Any, None]) -> None:
        if asyncio.get_running_loop() is self._loop:
            await told
        else:  # of a synchronous tool LangChain tells in the tool's own thread, with a loop made for that
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(told, self._loop))


def _call_id(call_id: str | None, metadata: Mapping[str, Any] | None) -> str | None:
    """A call's id, in each run of a turn the same: a model may use one more than once."""
    return f"{(metadata or {}).get('langgraph_step', '')}:{call_id}" if call_id else None


def _model(model: Any) -> BaseChatModel:
    return model if isinstance(model, BaseChatModel) else _init(model)


@cache
def _init(name: str) -> BaseChatModel:
    try:
        return init_chat_model(name)
    except ImportError as error:
        raise SettingError(f"The model {name!r} needs a package that is not installed: {error}") from error
    except Exception as error:  # every provider's package raises its own kind, for a missing key, say
        raise SettingError(
            f"The model {name!r} (UNDERSTUDY_MODEL, or Agent(model=…)) cannot be had from LangChain: {error}"
        ) from error


def _text_delta(message: BaseMessage) -> str:
    return message.text if isinstance(message, (AIMessage, AIMessageChunk)) else ""


def _messages(history: Sequence[SessionItem]) -> list[AnyMessage]:
    messages: list[Any] = []
    for item in history:
        if item.engine == ENGINE:
            messages += messages_from_dict([_STORED.validate_json(item.data)])
        elif item.role is Role.USER:
            messages.append(HumanMessage(f"{item.speaker}: {item.text}" if item.speaker else item.text))
        elif item.role is Role.ASSISTANT:
            messages.append(AIMessage(item.text))
    return messages


def _answer(history: Sequence[str], messages: Sequence[BaseMessage]) -> Answer:
    added = [message for message in messages if message.id not in history]
    text = next((message.text for message in reversed(added) if isinstance(message, AIMessage)), "")
    return Answer(text, [_item(message) for message in added])


def _item(message: BaseMessage) -> SessionItem:
    data = storable_json(message_to_dict(message))
    if isinstance(message, AIMessage):
        role = Role.TOOL if message.tool_calls else Role.ASSISTANT
    else:
        role = Role.USER if isinstance(message, HumanMessage) else Role.TOOL
    return SessionItem(role, message.text, ENGINE, data)
