"""Toolkits: groups of tools with state, cloned for every turn."""

from oauth import Identity
from toolkits.clone import CloneError
from toolkits.context import Attachment, Conversation, Message, TurnContext
from toolkits.function import Function, ToolError, tool
from toolkits.sign_in import needs_sign_in
from toolkits.toolkit import Toolkit

__all__ = [
    "Attachment",
    "CloneError",
    "Conversation",
    "Function",
    "Identity",
    "Message",
    "ToolError",
    "Toolkit",
    "TurnContext",
    "needs_sign_in",
    "tool",
]
