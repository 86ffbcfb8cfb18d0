"""A scripted model that replaces an agent's own, for each engine: it calls the given tools, then ends the turn."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from gateway.agents.agent import Agent

DONE = "done"


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool as it is offered to a model; `parameters` is a JSON Schema."""

    name: str
    parameters: Mapping[str, Any]


@dataclass
class Script:
    """The calls that the model of one turn makes, and what it receives.

    Args:
        calls: the tools to call, all at once, each with its arguments.
        offered: the tools that the model was offered.
        given: the messages that the model received after its calls.
        retried: whether the model was told that its arguments did not fit.
    """

    calls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    offered: list[ToolInfo] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    retried: bool = False
    _called: bool = False

    def next_calls(self, offered: Sequence[ToolInfo], given: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return the calls to make now: all of them the first time, none after that."""
        if self._called:
            self.given.append(given)
            return {}
        self._called = True
        self.offered = list(offered)
        return self.calls


@contextmanager
def scripted(copy: Agent, script: Script) -> Iterator[None]:
    """Give a copy that serves one turn the script as its model. The template keeps its own model.

    Raises:
        NotImplementedError: if the agent is of a kind whose model cannot be replaced.
    """
    if copy.native is None:
        copy.model, copy.mcp_servers = _pydantic_model(script), ()
        copy.engine = "pydantic-ai"
        yield
    elif copy.engine == "pydantic-ai":
        with copy.native.override(model=_pydantic_model(script)):
            yield
    elif copy.engine == "openai-agents":
        copy.native = copy.native.clone(model=_sdk_model(script), handoffs=[])
        yield
    elif copy.engine == "langgraph":
        copy.native = _graph(copy.native, script)
        yield
    else:
        raise NotImplementedError(f"an agent for {copy.engine}")


def _pydantic_model(script: Script) -> Any:
    from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    def play(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        offered = [ToolInfo(tool.name, tool.parameters_json_schema) for tool in info.function_tools]
        calls = script.next_calls(offered, messages[1:])
        script.retried = script.retried or any(isinstance(part, RetryPromptPart) for part in messages[-1].parts)
        return ModelResponse([ToolCallPart(name, dict(given)) for name, given in calls.items()] or [TextPart(DONE)])

    return FunctionModel(play)


def _sdk_model(script: Script) -> Any:
    from agents import FunctionTool, Model, ModelResponse, Usage
    from agents.testing import assistant_message, function_call

    class Scripted(Model):
        async def get_response(self, *_: Any, **request: Any) -> Any:
            tools = [tool for tool in request["tools"] if isinstance(tool, FunctionTool)]
            offered = [ToolInfo(tool.name, tool.params_json_schema) for tool in tools]
            calls = script.next_calls(offered, request["input"])
            output: list[Any] = [
                function_call(name, dict(given), call_id=f"call_{name}") for name, given in calls.items()
            ]
            return ModelResponse(output or [assistant_message(DONE)], Usage(), None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError("no turn of a leak check is streamed")

    return Scripted()


def _graph(graph: Any, script: Script) -> Any:
    """Return a LangChain agent with the tools of a graph, which are taken from its `ToolNode`."""
    from langchain.agents import create_agent
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolCall
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.tools import BaseTool
    from langchain_core.utils.function_calling import convert_to_openai_tool
    from langgraph.prebuilt import ToolNode

    nodes = [node.bound for node in graph.nodes.values() if isinstance(node.bound, ToolNode)]
    tools: list[BaseTool] = [tool for node in nodes for tool in node.tools_by_name.values()]
    if not tools:
        raise NotImplementedError("a graph without a ToolNode")
    offered = [
        ToolInfo(tool.name, cast(Mapping[str, Any], convert_to_openai_tool(tool)["function"].get("parameters", {})))
        for tool in tools
    ]

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
            calls = script.next_calls(offered, messages[1:])
            made = [ToolCall(name=name, args=dict(given), id=f"call_{name}") for name, given in calls.items()]
            return ChatResult(generations=[ChatGeneration(message=AIMessage(DONE, tool_calls=made))])

    store = _store_in_place_of(graph) if graph.store is not None else None
    return create_agent(Scripted(), tools, context_schema=getattr(graph, "context_schema", None), store=store)


@lru_cache(maxsize=1)  # all turns share one, so that data that is mixed up in it reaches another person's turn
def _store_in_place_of(graph: Any) -> Any:
    """Make an empty store in memory: a graph's own may be a database on another machine."""
    from langgraph.store.memory import InMemoryStore

    return InMemoryStore()
