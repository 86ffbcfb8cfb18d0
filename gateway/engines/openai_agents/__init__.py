"""The engine on the OpenAI Agents SDK: https://openai.github.io/openai-agents-python/

The tools of a native agent get the turn explicitly. The `TurnContext` (or what `Agent(make_context=…)` makes of it) is
the context of the run, `RunContextWrapper.context`, which handoffs and agents used as tools share. The SDK's tracing,
which sends conversations to OpenAI's dashboard, is off.
"""

from gateway.engines.openai_agents.engine import OpenAIAgentsEngine

__all__ = ["OpenAIAgentsEngine"]
