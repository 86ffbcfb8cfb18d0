"""The history of a conversation as pydantic-ai's messages."""

from collections.abc import Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
)

from gateway.runs.items import Role, SessionItem

ENGINE = "pydantic-ai"


def to_messages(history: Sequence[SessionItem]) -> list[ModelMessage]:
    """Return the messages that a history stands for."""
    messages: list[ModelMessage] = []
    for item in history:
        if item.engine == ENGINE:
            messages += ModelMessagesTypeAdapter.validate_json(item.data)
        elif item.role is Role.USER:
            messages.append(ModelRequest([UserPromptPart(item.attributed_text)]))
        elif item.role is Role.ASSISTANT:
            messages.append(ModelResponse([TextPart(item.text)]))
    return messages


def to_item(message: ModelMessage) -> SessionItem:
    """Return the item that stores a message."""
    data = ModelMessagesTypeAdapter.dump_json([message]).decode()
    if isinstance(message, ModelResponse):
        role = Role.TOOL if message.tool_calls else Role.ASSISTANT
        return SessionItem(role, message.text or "", ENGINE, data)
    prompts = [part.content for part in message.parts if isinstance(part, UserPromptPart)]
    text = "\n".join(prompt for prompt in prompts if isinstance(prompt, str))
    return SessionItem(Role.USER if prompts else Role.TOOL, text, ENGINE, data)
