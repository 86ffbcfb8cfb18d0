"""Translate the history of a conversation to pydantic-ai's messages and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserContent,
    UserPromptPart,
)

from gateway.attachments.prompt import Prompt
from gateway.runs.items import Role, SessionItem
from toolkits import File, kind_of

ENGINE = "pydantic-ai"


def to_messages(history: Sequence[SessionItem]) -> list[ModelMessage]:
    """Return a history as pydantic-ai's messages."""
    messages: list[ModelMessage] = []
    for item in history:
        if item.engine == ENGINE:
            messages += ModelMessagesTypeAdapter.validate_json(item.data)
        elif item.role in (Role.USER, Role.QUOTED):
            messages.append(ModelRequest([UserPromptPart(item.attributed_text)]))
        elif item.role is Role.ASSISTANT:
            messages.append(ModelResponse([TextPart(item.text)]))
    return messages


def to_user_content(prompt: Prompt) -> str | list[UserContent]:
    """Return a prompt as pydantic-ai's user content."""
    if prompt.is_text:
        return prompt.text
    return prompt.content(str, lambda file: BinaryContent(file.data, media_type=file.media_type))


def to_files(messages: Sequence[ModelMessage]) -> list[File]:
    """Return the files in the model's responses."""
    found = [each for message in messages if isinstance(message, ModelResponse) for each in message.files]
    return [File(each.data, media_type=each.media_type) for each in found]


def to_item(message: ModelMessage) -> SessionItem:
    """Return the item that stores a message, without the files in it."""
    if isinstance(message, ModelRequest):
        message = replace(message, parts=[_without_files(part) for part in message.parts])
    else:
        message = replace(message, parts=[_named(part) for part in message.parts])
    data = ModelMessagesTypeAdapter.dump_json([message]).decode()
    if isinstance(message, ModelResponse):
        role = Role.TOOL if message.tool_calls else Role.ASSISTANT
        return SessionItem(role, message.text or "", ENGINE, data)
    prompts = [part.content for part in message.parts if isinstance(part, UserPromptPart)]
    text = "\n".join(prompt for prompt in prompts if isinstance(prompt, str))
    return SessionItem(Role.USER if prompts else Role.TOOL, text, ENGINE, data)


def _named(part: Any) -> Any:
    """Return a part of a response. A file is replaced by a text that names its kind."""
    return TextPart(f"[{kind_of(part.content.media_type)}]") if isinstance(part, FilePart) else part


def _without_files(part: Any) -> Any:
    """Return a part of a request. A prompt keeps only its first text, which names its files."""
    if not isinstance(part, UserPromptPart) or isinstance(part.content, str):
        return part
    return replace(part, content=next((each for each in part.content if isinstance(each, str)), ""))
