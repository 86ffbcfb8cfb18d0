"""Translate the history of a conversation to the Agents SDK's input items and back."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from gateway.attachments.files import ModelFile
from gateway.attachments.prompt import Prompt
from gateway.runs.items import Role, SessionItem
from toolkits import AttachmentKind, File
from toolkits.text import storable_json

ENGINE = "openai-agents"

IMAGE = "image_generation_call"  # the type of an item with an image that the model made

_STORED = TypeAdapter(dict[str, Any])


def to_messages(history: Sequence[SessionItem]) -> list[dict[str, Any]]:
    """Return a history as input items."""
    messages: list[dict[str, Any]] = []
    for item in history:
        if item.engine == ENGINE:
            messages.append(_STORED.validate_json(item.data))
        elif item.role in (Role.USER, Role.QUOTED):
            messages.append({"role": "user", "content": item.attributed_text})
        elif item.role is Role.ASSISTANT:
            messages.append({"role": "assistant", "content": item.text})
    return messages


def to_content(prompt: Prompt) -> str | list[dict[str, Any]]:
    """Return a prompt as the content of an input item: https://platform.openai.com/docs/guides/pdf-files"""
    return prompt.text if prompt.is_text else prompt.content(_text_part, _file_part)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _file_part(file: ModelFile) -> dict[str, Any]:
    url = f"data:{file.media_type};base64,{b64encode(file.data).decode()}"
    if file.is_image:
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    return {"type": "input_file", "filename": file.name, "file_data": url}


def to_files(added: Sequence[Mapping[str, Any]]) -> list[File]:
    """Return the images that the model made: https://platform.openai.com/docs/guides/tools-image-generation"""
    made = [item for item in added if item.get("type") == IMAGE and item.get("result")]
    return [File(b64decode(item["result"]), media_type=f"image/{item.get('output_format') or 'png'}") for item in made]


def to_item(message: dict[str, Any]) -> SessionItem:
    """Return the item that stores an input item, without the files in it."""
    if message.get("type") == IMAGE:
        message = {"role": "assistant", "content": f"[{AttachmentKind.IMAGE}]"}
    if message.get("role") == "user" and not isinstance(message["content"], str):
        texts = (part["text"] for part in message["content"] if part.get("type") == "input_text")
        message = {**message, "content": next(texts, "")}
    data = storable_json(message)
    role = {"user": Role.USER, "assistant": Role.ASSISTANT}.get(message.get("role", ""), Role.TOOL)
    content = message.get("content", "") if role is not Role.TOOL else ""
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return SessionItem(role, text, ENGINE, data)
