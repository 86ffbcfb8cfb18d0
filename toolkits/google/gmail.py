"""Gmail, by its REST API: https://developers.google.com/workspace/gmail/api/reference/rest"""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any, cast

from markdownify import markdownify
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from toolkits.context import TurnContext
from toolkits.function import ToolError, tool
from toolkits.google.service import GoogleToolkit, not_readable, shortened

READ = "https://www.googleapis.com/auth/gmail.readonly"

MOST_MESSAGES = 25  # in one answer
MOST_BODY_CHARACTERS = 20_000
MOST_ATTACHMENT_BYTES = 5_000_000
HEADERS = ["From", "To", "Cc", "Subject", "Date"]

NO_MESSAGE = "The user has no message with that id."
NO_THREAD = "The user has no thread with that id."
NO_ATTACHMENT = "That message has no attachment with that id."

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


class MessagePage(TypedDict):
    messages: list[Summary]
    next_page: str | None


class Attachment(TypedDict):
    id: str
    name: str
    type: str
    bytes: int


class MailMessage(Summary):
    body: str
    attachments: list[Attachment]


class Label(TypedDict):
    id: str
    name: str


class Gmail(GoogleToolkit):
    """Reads the mail of the person who asks.

    Args:
        auth: how people connect their Google account; one with the client of the environment unless given.
    """

    api = "gmail"
    version = "v1"
    scopes = frozenset({READ})

    @tool(read_only=True)
    async def search_messages(
        self, context: TurnContext, query: str = "", limit: int = 10, page: str | None = None
    ) -> MessagePage:
        """Search the user's mail, newest first.

        Args:
            query: what to look for, as in Gmail's search box, like "from:alice is:unread newer_than:7d";
                empty for the latest messages.
            limit: how many messages to return, 25 at most.
            page: the next_page of an earlier answer, to go on from there.
        """
        most = min(max(limit, 1), MOST_MESSAGES)
        found = await self.execute(
            context,
            lambda gmail: gmail.users().messages().list(userId="me", q=query or None, maxResults=most, pageToken=page),
            scope=READ,
        )
        identifiers = [message["id"] for message in found.get("messages", [])][:most]
        messages = await asyncio.gather(*(self._summary(context, identifier) for identifier in identifiers))
        return {"messages": list(messages), "next_page": found.get("nextPageToken")}

    @tool(read_only=True)
    async def read_message(self, context: TurnContext, message_id: str) -> MailMessage:
        """Read one message of the user's mail in full.

        Args:
            message_id: the id that search_messages gave.
        """
        message = await self.execute(
            context,
            lambda gmail: gmail.users().messages().get(userId="me", id=message_id, format="full"),
            scope=READ,
            missing=NO_MESSAGE,
        )
        return _message(message, MOST_BODY_CHARACTERS)

    @tool(read_only=True)
    async def read_thread(self, context: TurnContext, thread_id: str) -> list[MailMessage]:
        """Read a conversation of the user's mail, oldest message first.

        Args:
            thread_id: the thread_id that search_messages gave.
        """
        thread = await self.execute(
            context,
            lambda gmail: gmail.users().threads().get(userId="me", id=thread_id, format="full"),
            scope=READ,
            missing=NO_THREAD,
        )
        messages = thread.get("messages", [])[-MOST_MESSAGES:]
        return [_message(message, MOST_BODY_CHARACTERS // len(messages)) for message in messages]

    @tool(read_only=True)
    async def read_attachment(self, context: TurnContext, message_id: str, attachment_id: str) -> str:
        """Read an attachment that is text.

        Args:
            message_id: the message that it is in.
            attachment_id: its id, as read_message gave it.
        """
        message = await self.execute(
            context,
            lambda gmail: gmail.users().messages().get(userId="me", id=message_id, format="full"),
            scope=READ,
            missing=NO_MESSAGE,
        )
        part = next((part for part in _files(message["payload"]) if part["partId"] == attachment_id), None)
        if part is None:
            raise ToolError(NO_ATTACHMENT)
        kind, body = part.get("mimeType", ""), part["body"]
        if not kind.startswith("text/") or body.get("size", 0) > MOST_ATTACHMENT_BYTES:
            raise not_readable(part["filename"], kind, body.get("size", 0))
        if "data" not in body:
            body = await self._attachment(context, message_id, body["attachmentId"])
        text = _decoded(body["data"])
        return shortened(markdownify(text) if kind == "text/html" else text, MOST_BODY_CHARACTERS)

    @tool(read_only=True)
    async def list_labels(self, context: TurnContext) -> list[Label]:
        """List the labels of the user's mail, which a search may name as "label:NAME"."""
        found = await self.execute(context, lambda gmail: gmail.users().labels().list(userId="me"), scope=READ)
        return [{"id": label["id"], "name": label["name"]} for label in found.get("labels", [])]

    async def _attachment(self, context: TurnContext, message_id: str, attachment_id: str) -> dict[str, str]:
        """Its content. Gmail gives it another id each time: the part's own id is the one that lasts."""

        def request(gmail: Any) -> Any:
            attachments = gmail.users().messages().attachments()
            return attachments.get(userId="me", messageId=message_id, id=attachment_id)

        found: dict[str, str] = await self.execute(context, request, scope=READ, missing=NO_ATTACHMENT)
        return found

    async def _summary(self, context: TurnContext, identifier: str) -> Summary:
        message = await self.execute(
            context,
            lambda gmail: (
                gmail.users().messages().get(userId="me", id=identifier, format="metadata", metadataHeaders=HEADERS)
            ),
            scope=READ,
        )
        return _summarize(message)


def _summarize(message: dict[str, Any]) -> Summary:
    headers = {header["name"].lower(): header["value"] for header in message.get("payload", {}).get("headers", [])}
    fields = {name.lower(): headers[name.lower()] for name in HEADERS if name.lower() in headers}
    fields |= {"id": message["id"], "thread_id": message["threadId"], "snippet": message.get("snippet", "")}
    return cast("Summary", fields)


def _message(message: dict[str, Any], limit: int) -> MailMessage:
    attachments: list[Attachment] = [
        {
            "id": part["partId"],
            "name": part["filename"],
            "type": part.get("mimeType", ""),
            "bytes": part["body"].get("size", 0),
        }
        for part in _files(message["payload"])
    ]
    content = {"body": _body(message["payload"], limit), "attachments": attachments}
    return cast("MailMessage", {**_summarize(message), **content})


def _body(payload: dict[str, Any], limit: int) -> str:
    texts = dict(_texts(payload))
    return shortened(texts.get("text/plain") or markdownify(texts.get("text/html", "")), limit)


def _texts(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The text parts of a MessagePart that are not attachments, the first of a kind last."""
    for child in reversed(part.get("parts", [])):
        yield from _texts(child)
    data = part.get("body", {}).get("data")
    if data and not part.get("filename"):
        yield part.get("mimeType", ""), _decoded(data)


def _files(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a MessagePart that are attachments."""
    for child in part.get("parts", []):
        yield from _files(child)
    if part.get("filename"):
        yield part


def _decoded(data: str) -> str:
    padded = data + "=" * (-len(data) % 4)
    return base64.urlsafe_b64decode(padded).decode("utf-8", errors="replace")
