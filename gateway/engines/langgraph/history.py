"""Translate the history of a conversation to LangChain's messages and back."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    message_to_dict,
    messages_from_dict,
)
from pydantic import TypeAdapter

from gateway.attachments.files import ModelFile
from gateway.attachments.prompt import Prompt
from gateway.runs.items import Role, SessionItem
from toolkits import File
from toolkits.text import storable_json

ENGINE = "langgraph"

FILES = ("image", "audio", "video", "file")  # the types of content blocks that are files

_STORED = TypeAdapter(dict[str, Any])


def to_messages(history: Sequence[SessionItem]) -> list[AnyMessage]:
    """Return a history as LangChain's messages."""
    messages: list[Any] = []
    for item in history:
        if item.engine == ENGINE:
            messages += messages_from_dict([_STORED.validate_json(item.data)])
        elif item.role in (Role.USER, Role.QUOTED):
            messages.append(HumanMessage(item.attributed_text))
        elif item.role is Role.ASSISTANT:
            messages.append(AIMessage(item.text))
    return messages


def to_content(prompt: Prompt) -> str | list[str | dict[str, Any]]:
    """Return a prompt as the content of a message: https://docs.langchain.com/oss/python/langchain/messages#multimodal"""
    return prompt.text if prompt.is_text else prompt.content(_text_block, _file_block)


def _text_block(text: str) -> str | dict[str, Any]:
    return {"type": "text", "text": text}


def _file_block(file: ModelFile) -> str | dict[str, Any]:
    block = {"base64": b64encode(file.data).decode(), "mime_type": file.media_type}
    return {"type": "image", **block} if file.is_image else {"type": "file", "filename": file.name, **block}


def to_files(messages: Sequence[BaseMessage]) -> list[File]:
    """Return the files in the model's messages. Files that are only referred to by a URL are left out."""
    blocks = [block for message in messages if isinstance(message, AIMessage) for block in message.content_blocks]
    found: list[Any] = [block for block in blocks if block["type"] in FILES and block.get("base64")]
    return [
        File(b64decode(block["base64"]), name=block.get("filename", ""), media_type=block.get("mime_type", ""))
        for block in found
    ]


def without_files(message: HumanMessage) -> HumanMessage:
    """Return a message with only its first text, which names its files."""
    if isinstance(message.content, str):
        return message
    first = next((each for each in message.content if isinstance(each, str) or each.get("type") == "text"), "")
    return message.model_copy(update={"content": first if isinstance(first, str) else first["text"]})


def _named(message: AIMessage) -> AIMessage:
    """Return an answer of a model in which each file is replaced by a text that names its type."""
    if isinstance(message.content, str) or not to_files([message]):
        return message
    shown = [
        block if block["type"] not in FILES else {"type": "text", "text": f"[{block['type']}]"}
        for block in message.content_blocks
    ]
    return message.model_copy(update={"content": shown})


def to_item(message: BaseMessage) -> SessionItem:
    """Return the item that stores a message, without the files in it."""
    if isinstance(message, HumanMessage):
        message = without_files(message)
    elif isinstance(message, AIMessage):
        message = _named(message)
    data = storable_json(message_to_dict(message))
    if isinstance(message, AIMessage):
        role = Role.TOOL if message.tool_calls else Role.ASSISTANT
    else:
        role = Role.USER if isinstance(message, HumanMessage) else Role.TOOL
    return SessionItem(role, message.text, ENGINE, data)
