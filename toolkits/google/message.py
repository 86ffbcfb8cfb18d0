"""Received mails, as Gmail returns them, for the model: https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages"""

import base64
from collections.abc import Iterator
from typing import Any, cast

from markdownify import markdownify
from typing_extensions import TypedDict  # pydantic accepts no other before Python 3.12

from toolkits.google.service import shortened

HEADERS = ["From", "To", "Cc", "Subject", "Date"]

Summary = TypedDict(
    "Summary",
    {
        "id": str,
        "thread_id": str,
        "from": str,
        "to": str,
        "cc": str,
        "subject": str,
        "date": str,
        "snippet": str,
    },
    total=False,
)


class MailAttachment(TypedDict):
    """An attachment, for the model."""

    id: str
    name: str
    type: str
    bytes: int


class MailMessage(Summary):
    """A mail in full."""

    body: str
    attachments: list[MailAttachment]


def summarize(message: dict[str, Any]) -> Summary:
    """Return a mail without its body, for the model."""
    headers = {header["name"].lower(): header["value"] for header in message.get("payload", {}).get("headers", [])}
    fields = {name.lower(): headers[name.lower()] for name in HEADERS if name.lower() in headers}
    fields |= {"id": message["id"], "thread_id": message["threadId"], "snippet": message.get("snippet", "")}
    return cast("Summary", fields)


def read(message: dict[str, Any], limit: int) -> MailMessage:
    """Return a mail in full, for the model, with at most `limit` characters of its body."""
    attachments: list[MailAttachment] = [
        {
            "id": part["partId"],
            "name": part["filename"],
            "type": part.get("mimeType", ""),
            "bytes": part["body"].get("size", 0),
        }
        for part in files(message["payload"])
    ]
    content = {"body": _body(message["payload"], limit), "attachments": attachments}
    return cast("MailMessage", {**summarize(message), **content})


def _body(payload: dict[str, Any], limit: int) -> str:
    texts = dict(_texts(payload))
    return shortened(texts.get("text/plain") or markdownify(texts.get("text/html", "")), limit)


def _texts(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the type and content of each text in a MessagePart that is not an attachment, in reverse order."""
    for child in reversed(part.get("parts", [])):
        yield from _texts(child)
    data = part.get("body", {}).get("data")
    if data and not part.get("filename"):
        yield part.get("mimeType", ""), decoded(data).decode(errors="replace")


def files(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of a MessagePart that are attachments."""
    for child in part.get("parts", []):
        yield from files(child)
    if part.get("filename"):
        yield part


def decoded(data: str) -> bytes:
    """Decode the content of a part."""
    return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
