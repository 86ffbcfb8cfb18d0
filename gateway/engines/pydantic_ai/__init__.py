"""The default engine, pydantic-ai: https://ai.pydantic.dev"""

from gateway.engines.pydantic_ai.engine import PydanticAIEngine

__all__ = ["PydanticAIEngine"]
