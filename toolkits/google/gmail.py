"""Gmail, by its REST API: https://developers.google.com/workspace/gmail/api/reference/rest"""

import asyncio
from typing import Any

from markdownify import markdownify
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from toolkits import preview
from toolkits.context import TurnContext
from toolkits.function import ToolError, tool
from toolkits.google.mail import REPLY_HEADERS, Mail, new_mail, reply_to
from toolkits.google.message import HEADERS, MailMessage, Summary, decoded, files, read, summarize
from toolkits.google.service import GoogleToolkit, not_readable, shortened

READ = "https://www.googleapis.com/auth/gmail.readonly"
COMPOSE = "https://www.googleapis.com/auth/gmail.compose"
MODIFY = "https://www.googleapis.com/auth/gmail.modify"

MOST_MESSAGES = 25  # in one answer
MOST_BODY_CHARACTERS = 20_000
MOST_ATTACHMENT_BYTES = 5_000_000

NO_MESSAGE = "The user has no message with that id."
NO_THREAD = "The user has no thread with that id."
NO_ATTACHMENT = "That message has no attachment with that id."


class MessagePage(TypedDict):
    messages: list[Summary]
    next_page: str | None


class SentMessage(TypedDict):
    id: str
    thread_id: str


class Draft(TypedDict):
    draft_id: str


class Label(TypedDict):
    id: str
    name: str


class Gmail(GoogleToolkit):
    """The mail of the person who asks. Its arguments are those of `GoogleToolkit`."""

    api = "gmail"
    version = "v1"
    read_scopes = frozenset({READ})
    write_scopes = frozenset({COMPOSE, MODIFY})

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
        return read(message, MOST_BODY_CHARACTERS)

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
        return [read(message, MOST_BODY_CHARACTERS // len(messages)) for message in messages]

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
        part = next((part for part in files(message["payload"]) if part["partId"] == attachment_id), None)
        if part is None:
            raise ToolError(NO_ATTACHMENT)
        kind, body = part.get("mimeType", ""), part["body"]
        if not kind.startswith("text/") or body.get("size", 0) > MOST_ATTACHMENT_BYTES:
            raise not_readable(part["filename"], kind, body.get("size", 0))
        if "data" not in body:
            body = await self._attachment(context, message_id, body["attachmentId"])
        text = decoded(body["data"])
        return shortened(markdownify(text) if kind == "text/html" else text, MOST_BODY_CHARACTERS)

    @tool(read_only=True)
    async def list_labels(self, context: TurnContext) -> list[Label]:
        """List the labels of the user's mail, which a search may name as "label:NAME"."""
        found = await self.execute(context, lambda gmail: gmail.users().labels().list(userId="me"), scope=READ)
        return [{"id": label["id"], "name": label["name"]} for label in found.get("labels", [])]

    async def _sending(self, context: TurnContext, **mail: Any) -> str:
        await self.check_permission(context, COMPOSE)
        return f"Send this mail:\n\n{new_mail(**mail).shown()}"

    @tool(approval=_sending)
    async def send_message(
        self,
        context: TurnContext,
        to: list[str],
        subject: str,
        body: str,
        cc: list[str] | None = None,
        bcc: list[str] | None = None,
    ) -> SentMessage:
        """Send a new mail from the user. To answer one, use reply_to_message.

        Args:
            to: e-mail addresses, each with or without a name: "Bob <bob@example.com>".
            subject: in one line.
            body: plain text, as the user would sign it.
            cc: more addresses, which everybody sees.
            bcc: more addresses, which nobody sees.
        """
        return await self._send(context, new_mail(to, subject, body, cc, bcc))

    async def _replying(self, context: TurnContext, message_id: str, body: str, reply_all: bool = False) -> str:
        await self.check_permission(context, COMPOSE)
        return f"Send this answer:\n\n{(await self._reply(context, message_id, body, to_all=reply_all)).shown()}"

    @tool(approval=_replying)
    async def reply_to_message(
        self, context: TurnContext, message_id: str, body: str, reply_all: bool = False
    ) -> SentMessage:
        """Answer a mail of the user's, in its thread.

        Args:
            message_id: the id of the mail that is answered, as search_messages gave it.
            body: plain text, as the user would sign it.
            reply_all: whether it goes to everybody who got that mail, and not to its sender alone.
        """
        return await self._send(context, await self._reply(context, message_id, body, to_all=reply_all))

    async def _drafting(self, context: TurnContext, **mail: Any) -> str:
        await self.check_permission(context, COMPOSE)
        return f"Keep this as a draft:\n\n{new_mail(**mail).shown()}"

    @tool(approval=_drafting)
    async def draft_message(
        self,
        context: TurnContext,
        to: list[str],
        subject: str,
        body: str,
        cc: list[str] | None = None,
        bcc: list[str] | None = None,
    ) -> Draft:
        """Keep a new mail among the user's drafts, without sending it.

        Args:
            to: e-mail addresses, each with or without a name: "Bob <bob@example.com>".
            subject: in one line.
            body: plain text, as the user would sign it.
            cc: more addresses, which everybody sees.
            bcc: more addresses, which nobody sees.
        """
        return await self._draft(context, new_mail(to, subject, body, cc, bcc))

    async def _drafting_reply(self, context: TurnContext, message_id: str, body: str, reply_all: bool = False) -> str:
        await self.check_permission(context, COMPOSE)
        mail = await self._reply(context, message_id, body, to_all=reply_all)
        return f"Keep this answer as a draft:\n\n{mail.shown()}"

    @tool(approval=_drafting_reply)
    async def draft_reply(self, context: TurnContext, message_id: str, body: str, reply_all: bool = False) -> Draft:
        """Keep an answer to a mail of the user's among their drafts, without sending it.

        Args:
            message_id: the id of the mail that is answered, as search_messages gave it.
            body: plain text, as the user would sign it.
            reply_all: whether it is for everybody who got that mail, and not for its sender alone.
        """
        return await self._draft(context, await self._reply(context, message_id, body, to_all=reply_all))

    async def _labelling(
        self,
        context: TurnContext,
        message_ids: list[str],
        add: list[str] | None = None,
        remove: list[str] | None = None,
    ) -> str:
        await self._label_ids(context, add, remove)
        changes = [f"add {preview.line(label)}" for label in add or ()]
        changes += [f"remove {preview.line(label)}" for label in remove or ()]
        return f"Change labels ({', '.join(changes)}) of:\n\n{await self._listed(context, message_ids)}"

    @tool(approval=_labelling)
    async def label_messages(
        self,
        context: TurnContext,
        message_ids: list[str],
        add: list[str] | None = None,
        remove: list[str] | None = None,
    ) -> str:
        """Add labels to mails of the user's, or remove some. UNREAD, STARRED and IMPORTANT are labels, too.

        Args:
            message_ids: the ids that search_messages gave, 25 at most.
            add: names of labels, as list_labels gave them.
            remove: names of labels, as list_labels gave them.
        """
        added, removed = await self._label_ids(context, add, remove)
        return await self._modify(context, message_ids, addLabelIds=added, removeLabelIds=removed)

    async def _archiving(self, context: TurnContext, message_ids: list[str]) -> str:
        return f"Archive:\n\n{await self._listed(context, message_ids)}"

    @tool(approval=_archiving)
    async def archive_messages(self, context: TurnContext, message_ids: list[str]) -> str:
        """Take mails out of the user's inbox. They stay among all mail.

        Args:
            message_ids: the ids that search_messages gave, 25 at most.
        """
        return await self._modify(context, message_ids, removeLabelIds=["INBOX"])

    async def _trashing(self, context: TurnContext, message_ids: list[str]) -> str:
        return (
            f"Move to the trash, from which Gmail deletes after 30 days:\n\n{await self._listed(context, message_ids)}"
        )

    @tool(approval=_trashing)
    async def trash_messages(self, context: TurnContext, message_ids: list[str]) -> str:
        """Move mails of the user's to the trash.

        Args:
            message_ids: the ids that search_messages gave, 25 at most.
        """
        return await self._modify(context, message_ids, addLabelIds=["TRASH"], removeLabelIds=["INBOX"])

    async def _send(self, context: TurnContext, mail: Mail) -> SentMessage:
        body = mail.resource()
        sent = await self.execute(
            context, lambda gmail: gmail.users().messages().send(userId="me", body=body), scope=COMPOSE, writes=True
        )
        return {"id": sent["id"], "thread_id": sent["threadId"]}

    async def _draft(self, context: TurnContext, mail: Mail) -> Draft:
        body = {"message": mail.resource()}
        kept = await self.execute(
            context, lambda gmail: gmail.users().drafts().create(userId="me", body=body), scope=COMPOSE, writes=True
        )
        return {"draft_id": kept["id"]}

    async def _reply(self, context: TurnContext, message_id: str, body: str, *, to_all: bool) -> Mail:
        message = await self._metadata(context, message_id, REPLY_HEADERS)
        own: list[str] = []
        if to_all:
            found = await self.execute(
                context, lambda gmail: gmail.users().settings().sendAs().list(userId="me"), scope=READ
            )
            own = [alias["sendAsEmail"] for alias in found.get("sendAs", [])]
        return reply_to(message, body, to_all=to_all, own=own)

    async def _modify(self, context: TurnContext, message_ids: list[str], **labels: list[str]) -> str:
        body = {"ids": _checked(message_ids), **labels}
        await self.execute(
            context,
            lambda gmail: gmail.users().messages().batchModify(userId="me", body=body),
            scope=MODIFY,
            missing=NO_MESSAGE,
            writes=True,
        )
        return f"Done with {len(message_ids)} messages."

    async def _label_ids(
        self, context: TurnContext, add: list[str] | None, remove: list[str] | None
    ) -> tuple[list[str], list[str]]:
        labels = await self.list_labels(context)
        ids = {label["name"].casefold(): label["id"] for label in labels} | {
            label["id"]: label["id"] for label in labels
        }
        if not add and not remove:
            raise ToolError("There is no label to add, and none to remove.")
        for label in (*(add or ()), *(remove or ())):
            if label not in ids and label.casefold() not in ids:
                raise ToolError(f"The user has no label {label!r}.")
        added, removed = ([ids.get(label) or ids[label.casefold()] for label in given or ()] for given in (add, remove))
        return added, removed

    async def _listed(self, context: TurnContext, message_ids: list[str]) -> str:
        """The messages that something is about to be done to, for the person whose they are."""
        await self.check_permission(context, MODIFY)
        messages = await asyncio.gather(*(self._summary(context, identifier) for identifier in _checked(message_ids)))
        return "\n".join(f"- {preview.line(_described(message))}" for message in messages)

    async def _attachment(self, context: TurnContext, message_id: str, attachment_id: str) -> dict[str, str]:
        """Its content. Gmail gives it another id each time: the part's own id is the one that lasts."""

        def request(gmail: Any) -> Any:
            attachments = gmail.users().messages().attachments()
            return attachments.get(userId="me", messageId=message_id, id=attachment_id)

        found: dict[str, str] = await self.execute(context, request, scope=READ, missing=NO_ATTACHMENT)
        return found

    async def _summary(self, context: TurnContext, identifier: str) -> Summary:
        return summarize(await self._metadata(context, identifier, HEADERS))

    async def _metadata(self, context: TurnContext, identifier: str, headers: list[str]) -> dict[str, Any]:
        message: dict[str, Any] = await self.execute(
            context,
            lambda gmail: (
                gmail.users().messages().get(userId="me", id=identifier, format="metadata", metadataHeaders=headers)
            ),
            scope=READ,
            missing=NO_MESSAGE,
        )
        return message


def _checked(message_ids: list[str]) -> list[str]:
    if not 0 < len(message_ids) <= MOST_MESSAGES:
        raise ToolError(f"It takes 1 to {MOST_MESSAGES} messages at once.")
    return message_ids


def _described(message: Summary) -> str:
    return f"{message.get('subject', '')} (from {message.get('from', '')}, {message.get('date', '')})"
