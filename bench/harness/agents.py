"""An agent with three toolkits of thirteen tools each, and a model that answers at once."""

from collections.abc import Callable

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, TurnContext
from toolkits import Toolkit, tool

TOOLS_EACH = 13


def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Call one tool, then answer, both without delay."""
    if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        return ModelResponse([TextPart("done")])
    return ModelResponse([ToolCallPart("mail_0", {"query": "x"})])


def toolkit_of(prefix: str) -> Toolkit:
    """Make a toolkit with as many tools as Gmail's, and with attributes that a clone resets or copies."""

    def __init__(self: Toolkit) -> None:  # noqa: N807
        self.credentials = None
        self.cache = {}
        self.options = {"depth": [1, 2, 3]}

    methods = {f"{prefix}_{number}": method(f"{prefix}_{number}") for number in range(TOOLS_EACH)}
    names = {"_clone_reset_attrs": ("credentials", "cache"), "__init__": __init__}
    return type(prefix.capitalize(), (Toolkit,), {**methods, **names})()


def method(name: str) -> Callable[..., object]:
    """Make a tool with a given name."""

    async def search(self: Toolkit, context: TurnContext, query: str, limit: int = 10, folder: str = "all") -> str:
        """Search for something.

        Args:
            query: what to search for.
            limit: how many to return.
            folder: where to search.
        """
        return f"{query} {limit} {folder}"

    search.__name__ = name
    return tool(search)


def agent(model: FunctionModel | None = None) -> Agent:
    """Make the agent. Its model is `answer` by default."""
    return Agent(
        model=model or FunctionModel(answer), toolkits=[toolkit_of(prefix) for prefix in ("mail", "calendar", "drive")]
    )
