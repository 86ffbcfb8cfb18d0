"""The engine on LangGraph and LangChain's agents: https://docs.langchain.com/oss/python/langgraph/overview

The tools of a native graph get the turn explicitly. The `TurnContext` (or what `Agent(make_context=…)` makes of it) is
the graph's run context: `runtime.context` in a `ToolRuntime` or a `Runtime`. The `TurnContext` itself is also in
`config["configurable"]["turn_context"]`, which reaches sub-graphs that have another context schema.
"""

from gateway.engines.langgraph.engine import LangGraphEngine
from gateway.engines.langgraph.tools import as_tools

__all__ = ["LangGraphEngine", "as_tools"]
