"""Toolkits: groups of tools with state, of which every turn gets a clone."""

from oauth import Identity
from toolkits.cloning import CloneError
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
