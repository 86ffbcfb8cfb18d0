"""A tool's result as text for the model: https://modelcontextprotocol.io/specification/2025-06-18/server/tools"""

from typing import Any

from mcp_types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic_core import to_json

LONGEST = 100_000  # characters of a result


def as_text(result: CallToolResult) -> str:
    """Return a result as text. Content that is not text becomes a line that names it."""
    text = "\n".join(_describe(content) for content in result.content)
    if not text and result.structured_content is not None:
        text = to_json(result.structured_content).decode()
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n[cut after {LONGEST} of {len(text)} characters]"
    return text


def _describe(content: Any) -> str:
    if isinstance(content, TextContent):
        return content.text
    if isinstance(content, (ImageContent, AudioContent)):
        return f"[{content.mime_type}, {len(content.data) * 3 // 4 // 1024 + 1} KiB]"
    if isinstance(content, ResourceLink):
        return f"[{content.name}: {content.uri}]"
    if isinstance(content, EmbeddedResource):
        resource = content.resource
        return resource.text if isinstance(resource, TextResourceContents) else f"[{resource.uri}]"
    return f"[{getattr(content, 'type', 'content of an unknown kind')}]"
