"""The history of a conversation as LangChain's messages."""

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

from gateway.runs.items import Role, SessionItem
from toolkits.text import storable_json

ENGINE = "langgraph"

_STORED = TypeAdapter(dict[str, Any])


def to_messages(history: Sequence[SessionItem]) -> list[AnyMessage]:
    """Return the messages that a history stands for."""
    messages: list[Any] = []
    for item in history:
        if item.engine == ENGINE:
            messages += messages_from_dict([_STORED.validate_json(item.data)])
        elif item.role is Role.USER:
            messages.append(HumanMessage(item.attributed_text))
        elif item.role is Role.ASSISTANT:
            messages.append(AIMessage(item.text))
    return messages


def to_item(message: BaseMessage) -> SessionItem:
    """Return the item that stores a message."""
    data = storable_json(message_to_dict(message))
    if isinstance(message, AIMessage):
        role = Role.TOOL if message.tool_calls else Role.ASSISTANT
    else:
        role = Role.USER if isinstance(message, HumanMessage) else Role.TOOL
    return SessionItem(role, message.text, ENGINE, data)
