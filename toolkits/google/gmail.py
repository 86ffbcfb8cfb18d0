"""Gmail, by its REST API: https://developers.google.com/workspace/gmail/api/reference/rest"""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

from markdownify import markdownify

from toolkits.context import TurnContext
from toolkits.function import tool
from toolkits.google.service import GoogleToolkit

MOST_MESSAGES = 25
MOST_BODY_CHARACTERS = 20_000
HEADERS = ["From", "To", "Cc", "Subject", "Date"]


class Gmail(GoogleToolkit):
    """Reads the mail of the person who asks.

    Args:
        auth: how people connect their Google account; one with the client of the environment unless given.
    """

    api = "gmail"
    version = "v1"
    scopes = frozenset({"https://www.googleapis.com/auth/gmail.readonly"})

    @tool(read_only=True)
    async def search_messages(self, context: TurnContext, query: str = "", limit: int = 10) -> list[dict[str, str]]:
        """Search the user's mail, newest first.

        Args:
            query: what to look for, as in Gmail's search box, like "from:alice is:unread newer_than:7d";
                empty for the latest messages.
            limit: how many messages to return, 25 at most.
        """
        most = min(max(limit, 1), MOST_MESSAGES)
        found = await self.execute(
            context,
            lambda gmail: gmail.users().messages().list(userId="me", q=query or None, maxResults=most),
        )
        identifiers = [message["id"] for message in found.get("messages", [])][:most]
        return list(await asyncio.gather(*(self._summary(context, identifier) for identifier in identifiers)))

    @tool(read_only=True)
    async def read_message(self, context: TurnContext, message_id: str) -> dict[str, str]:
        """Read one message of the user's mail in full.

        Args:
            message_id: the id that search_messages gave.
        """
        message = await self.execute(
            context, lambda gmail: gmail.users().messages().get(userId="me", id=message_id, format="full")
        )
        return _summarize(message) | {"body": _body(message["payload"])}

    @tool(read_only=True)
    async def list_labels(self, context: TurnContext) -> list[dict[str, str]]:
        """List the labels of the user's mail, which a search may name as "label:NAME"."""
        found = await self.execute(context, lambda gmail: gmail.users().labels().list(userId="me"))
        return [{"id": label["id"], "name": label["name"]} for label in found.get("labels", [])]

    async def _summary(self, context: TurnContext, identifier: str) -> dict[str, str]:
        message = await self.execute(
            context,
            lambda gmail: (
                gmail.users().messages().get(userId="me", id=identifier, format="metadata", metadataHeaders=HEADERS)
            ),
        )
        return _summarize(message)


def _summarize(message: dict[str, Any]) -> dict[str, str]:
    headers = {header["name"].lower(): header["value"] for header in message.get("payload", {}).get("headers", [])}
    fields = {name.lower(): headers[name.lower()] for name in HEADERS if name.lower() in headers}
    return {"id": message["id"], **fields, "snippet": message.get("snippet", "")}


def _body(payload: dict[str, Any]) -> str:
    texts = dict(_texts(payload))
    text = texts.get("text/plain") or markdownify(texts.get("text/html", ""))
    if len(text) > MOST_BODY_CHARACTERS:
        return f"{text[:MOST_BODY_CHARACTERS]}\n[{len(text) - MOST_BODY_CHARACTERS} more characters]"
    return str(text)


def _texts(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The text parts of a MessagePart that are not attachments, the first of a kind last."""
    for child in reversed(part.get("parts", [])):
        yield from _texts(child)
    data = part.get("body", {}).get("data")
    if data and not part.get("filename"):
        padded = data + "=" * (-len(data) % 4)
        yield part.get("mimeType", ""), base64.urlsafe_b64decode(padded).decode("utf-8", errors="replace")
