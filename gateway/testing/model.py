"""A model that calls the tools that a message names. It needs neither an account nor a network."""

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo


async def obey(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call the tools that a message names, then answer with their results. For pydantic-ai's `FunctionModel`.

    A message has the form `call NAME {"argument": 1} NAME …`. The arguments are optional, and must not contain spaces.
    A message that names no tool is answered with `heard: MESSAGE`.
    """
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    returned = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    if returned:
        return ModelResponse([TextPart(" | ".join(part.model_response_str() for part in returned))])
    text = str(last.parts[-1].content)  # type: ignore[union-attr]
    names = [tool.name for tool in info.function_tools]
    words = text.split(" ")
    calls: list[ToolCallPart | TextPart] = []
    for index, word in enumerate(words):
        if word in names:
            following = words[index + 1] if index + 1 < len(words) else ""
            calls.append(ToolCallPart(word, following if following.startswith("{") else {}))
    return ModelResponse(calls or [TextPart(f"heard: {text}")])
