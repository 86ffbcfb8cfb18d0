"""Toolkits: groups of tools with state. Every turn gets a clone."""

from typing import TYPE_CHECKING

from oauth.lazy import import_lazily

if TYPE_CHECKING:
    from oauth import Identity
    from toolkits.attachment import Attachment, AttachmentError, AttachmentKind, Transcriber, kind_of, safe_name
    from toolkits.cloning import CloneError
    from toolkits.context import Conversation, Message, TurnContext
    from toolkits.errors import NoAnswerError, ToolError
    from toolkits.file import File
    from toolkits.function import Function, tool
    from toolkits.quoted import QuotedKind, QuotedMessage
    from toolkits.sign_in import needs_sign_in
    from toolkits.template import Template
    from toolkits.toolkit import Toolkit
else:
    __getattr__ = import_lazily(__name__, __file__)

__all__ = [
    "Attachment",
    "AttachmentError",
    "AttachmentKind",
    "CloneError",
    "Conversation",
    "File",
    "Function",
    "Identity",
    "Message",
    "NoAnswerError",
    "QuotedKind",
    "QuotedMessage",
    "Template",
    "ToolError",
    "Toolkit",
    "Transcriber",
    "TurnContext",
    "kind_of",
    "needs_sign_in",
    "safe_name",
    "tool",
]
