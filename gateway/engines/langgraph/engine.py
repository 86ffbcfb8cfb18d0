"""The engine that runs native LangGraph graphs, and other agents as graphs from LangChain's `create_agent`."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import CONFIG_KEY_CHECKPOINTER
from langgraph.errors import GraphRecursionError
from langgraph.pregel import Pregel

from gateway.attachments.prompt import Prompt
from gateway.engines.langgraph.checkpoints import THREAD, Checkpoints
from gateway.engines.langgraph.history import to_content, to_files, to_item, to_messages
from gateway.engines.langgraph.model_requests import RequestWatch
from gateway.engines.langgraph.native_tools import NativeToolWatch
from gateway.engines.langgraph.tools import RUN, LangChainTool
from gateway.engines.prompts import answer_to, prompt_for
from gateway.engines.providers import missing_key
from gateway.engines.remote_tools import remote_tools
from gateway.engines.tools import AgentTool, EngineRun, native_context, own_tools
from gateway.runs.calls import in_calls
from gateway.runs.engine import Answer, MaxTurnsExceededError, RunnableAgent
from gateway.runs.events import EventHandler, TextDelta, TokensUsed
from gateway.runs.items import SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from oauth import SettingError
from toolkits import Attachment, QuotedMessage, TurnContext

TURN_CONTEXT = "turn_context"  # a key of config["configurable"], for the operator's own nodes and tools


class LangGraphEngine:
    """Runs native graphs whose state has `messages`, and other agents as graphs from LangChain's `create_agent`.

    Each template has one graph. The configuration of each run has an `EngineRun`, with the copy of the agent on which
    the tools act.
    """

    def __init__(self) -> None:
        self._graphs: WeakKeyDictionary[RunnableAgent, Pregel[Any, Any, Any, Any]] = WeakKeyDictionary()

    def check(self, agent: RunnableAgent) -> None:
        if agent.native is None:
            self._template_graph(agent)  # built now, because building it in a turn would block the event loop
        elif agent.mcp_servers:
            raise SettingError(
                f"Agent({agent.name!r}) is a graph, which is built together with its tools, and takes no mcp_servers. "
                "Give the servers to a member, or build the graph with their tools."
            )
        elif isinstance(agent.native, Pregel) and "messages" not in agent.native.channels:
            raise SettingError(
                f"The graph of Agent({agent.name!r}) has no 'messages' in its state, where the gateway puts the "
                "conversation and reads the answer: derive its state from MessagesState, or add that key."
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
        attachments: Sequence[Attachment] = (),
        quoted: Sequence[QuotedMessage] = (),
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        graph, run = await self._graph(agent, context), EngineRun(agent, context, handler, journal)
        callbacks: list[BaseCallbackHandler] = [RequestWatch(run)]
        if agent.native is not None:
            callbacks.append(watch := NativeToolWatch(run))
            context = in_calls(context, watch.current_call)
        model = _model(agent.model) if agent.native is None else None
        prompt = await prompt_for(agent, text, attachments, quoted, history, partial(_takes, model))
        said = [*to_messages(history), HumanMessage(to_content(prompt))]
        for message in said:
            message.id = message.id or str(uuid4())
        # Each turn is a separate thread, because the history comes from the gateway and not from a checkpointer.
        thread_id = THREAD if journal.is_kept else str(uuid4())
        configurable = {"thread_id": thread_id, TURN_CONTEXT: context, RUN: run}
        checkpoints = Checkpoints(journal, agent.native)
        checkpoints.prompt = prompt
        checkpoints.history, checkpoints.prompt_id = [str(message.id) for message in said[:-1]], str(said[-1].id)
        if journal.is_kept:
            configurable[CONFIG_KEY_CHECKPOINTER] = checkpoints
        config = RunnableConfig(callbacks=callbacks, configurable=configurable)
        if max_turns is not None:
            config["recursion_limit"] = 2 * max_turns  # one step for the model, one for its tools
        resumes = checkpoints.restore(prompt)
        state: dict[str, Any] = {}
        try:
            async for mode, chunk in graph.astream(
                None if resumes else {"messages": said},
                config,
                context=native_context(agent, context),
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
            raise NotImplementedError(
                "the graph waits at an interrupt, which is not supported yet: use a toolkit with @tool(approval=True)"
            )
        await handler(TokensUsed(_tokens(checkpoints.history, state["messages"])))
        return _answer(checkpoints.history, state["messages"], prompt)

    async def _graph(self, agent: RunnableAgent, context: TurnContext) -> Any:
        if agent.native is not None:
            return agent.native
        if agent.mcp_servers:  # their tools may differ from turn to turn
            return _make_graph(agent, await remote_tools(agent, context))
        if agent.instructions != agent.template.instructions:  # a copy's may contain values of the request
            return _make_graph(agent, [])
        return self._template_graph(agent)

    def _template_graph(self, agent: RunnableAgent) -> Any:
        if agent.template not in self._graphs:
            self._graphs[agent.template] = _make_graph(agent, [])
        return self._graphs[agent.template]


def _make_graph(agent: RunnableAgent, remote: Sequence[AgentTool]) -> Any:
    tools = [LangChainTool(tool) for tool in [*own_tools(agent.template), *remote]]
    return create_agent(_model(agent.model), tools, system_prompt=agent.instructions or None)


def _model(model: Any) -> BaseChatModel:
    return model if isinstance(model, BaseChatModel) else _init(model)


@cache
def _init(name: str) -> BaseChatModel:
    try:
        return init_chat_model(name)
    except ImportError as error:
        raise SettingError(f"The model {name!r} needs a package that is not installed: {error}") from error
    except Exception as error:  # each provider's package has its own exceptions, for example for a missing key
        raise missing_key(name) or SettingError(
            f"LangChain cannot use the model {name!r} (UNDERSTUDY_MODEL, or Agent(model=…)): {error}"
        ) from error


def _takes(model: BaseChatModel | None, media_type: str) -> bool:
    """Return whether a model takes files of a media type, as far as LangChain knows.

    Args:
        model: `None` for a native graph, whose model is not known.
    """
    profile = (model.profile if model is not None else None) or {}
    return bool(profile.get("image_inputs" if media_type.startswith("image/") else "pdf_inputs", True))


def _text_delta(message: BaseMessage) -> str:
    return message.text if isinstance(message, (AIMessage, AIMessageChunk)) else ""


def _tokens(history: Sequence[str], messages: Sequence[BaseMessage]) -> int:
    """Return the number of tokens of the run."""
    said = (each for each in messages if each.id not in history and isinstance(each, AIMessage))
    return sum(each.usage_metadata["total_tokens"] for each in said if each.usage_metadata is not None)


def _answer(history: Sequence[str], messages: Sequence[BaseMessage], prompt: Prompt) -> Answer:
    added = [message for message in messages if message.id not in history]
    text = next((message.text for message in reversed(added) if isinstance(message, AIMessage)), "")
    return answer_to(prompt, text, [to_item(message) for message in added], to_files(added))
