"""Gmail, through its REST API: https://developers.google.com/workspace/gmail/api/reference/rest"""

import asyncio
import base64
from typing import Any

from googleapiclient.http import MediaInMemoryUpload
from markdownify import markdownify
from typing_extensions import TypedDict  # pydantic accepts no other before Python 3.12

from toolkits import preview
from toolkits.context import TurnContext
from toolkits.errors import ToolError
from toolkits.function import tool
from toolkits.google.mail import REPLY_HEADERS, Mail, attached, new_mail, reply_to
from toolkits.google.message import HEADERS, MailMessage, Summary, decoded, files, read, summarize
from toolkits.google.service import SENT_TO_CHAT, GoogleToolkit, not_readable, shortened

READ = "https://www.googleapis.com/auth/gmail.readonly"
COMPOSE = "https://www.googleapis.com/auth/gmail.compose"
MODIFY = "https://www.googleapis.com/auth/gmail.modify"

MOST_MESSAGES = 25  # in one answer
MOST_BODY_CHARACTERS = 20_000  # of a mail, or of all mails of a thread
MOST_ATTACHMENT_BYTES = 5_000_000  # of an attachment that is read
MOST_INLINE_BYTES = 3_500_000  # of a mail that is sent in the request itself, which may have 5 MB

NO_MESSAGE = "The user has no message with that id."
NO_THREAD = "The user has no thread with that id."
NO_ATTACHMENT = "That message has no attachment with that id."


class MessagePage(TypedDict):
    """A page of the mails that were found, and the token of the next page."""

    messages: list[Summary]
    next_page: str | None


class SentMessage(TypedDict):
    """A mail that was sent."""

    id: str
    thread_id: str


class Draft(TypedDict):
    """A draft that was saved."""

    draft_id: str


class Label(TypedDict):
    """A label of the user's mail."""

    id: str
    name: str


class Gmail(GoogleToolkit):
    """The mail of the person who asks. It has the arguments of `GoogleToolkit`."""

    api = "gmail"
    version = "v1"
    read_scopes = frozenset({READ})
    write_scopes = frozenset({COMPOSE, MODIFY})

    @tool(label="Searching your mail", read_only=True)
    async def search_messages(
        self, context: TurnContext, query: str = "", limit: int = 10, page: str | None = None
    ) -> MessagePage:
        """Search the user's mail, newest first.

        Args:
            query: a search as in Gmail's search box, like "from:alice is:unread newer_than:7d". Without one, the
                latest messages are returned.
            limit: how many messages to return, 25 at most.
            page: the next_page of an earlier answer, to get the next messages. Repeat the same query.
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

    @tool(label="Reading a mail", read_only=True)
    async def read_message(self, context: TurnContext, message_id: str) -> MailMessage:
        """Read one of the user's mails in full.

        Args:
            message_id: the mail's id, from search_messages.
        """
        return read(await self._message(context, message_id), MOST_BODY_CHARACTERS)

    @tool(label="Reading a thread of mails", read_only=True)
    async def read_thread(self, context: TurnContext, thread_id: str) -> list[MailMessage]:
        """Read all mails of a thread, oldest first.

        Args:
            thread_id: the thread's id, from search_messages.
        """
        thread = await self.execute(
            context,
            lambda gmail: gmail.users().threads().get(userId="me", id=thread_id, format="full"),
            scope=READ,
            missing=NO_THREAD,
        )
        messages = thread.get("messages", [])[-MOST_MESSAGES:]
        return [read(message, MOST_BODY_CHARACTERS // len(messages)) for message in messages]

    @tool(label="Reading an attachment", read_only=True)
    async def read_attachment(self, context: TurnContext, message_id: str, attachment_id: str) -> str:
        """Read an attachment that is text.

        Args:
            message_id: the id of the mail that has the attachment.
            attachment_id: the attachment's id, from read_message.
        """
        part = await self._part(context, message_id, attachment_id)
        kind, size = part.get("mimeType", ""), part["body"].get("size", 0)
        if not kind.startswith("text/") or size > MOST_ATTACHMENT_BYTES:
            raise not_readable(part["filename"], kind, size)
        text = (await self._content(context, message_id, part)).decode(errors="replace")
        return shortened(markdownify(text) if kind == "text/html" else text, MOST_BODY_CHARACTERS)

    @tool(label="Fetching an attachment", read_only=True)
    async def send_attachment_to_chat(self, context: TurnContext, message_id: str, attachment_id: str) -> str:
        """Send an attachment of one of the user's mails to the user, in this chat.

        Args:
            message_id: the id of the mail that has the attachment.
            attachment_id: the attachment's id, from read_message.
        """
        part = await self._part(context, message_id, attachment_id)
        content = await self._content(context, message_id, part)
        key = f"{context.reference}/gmail/{message_id}/{attachment_id}"  # sent once, even if the turn is played again
        await context.send_file(content, name=part["filename"], media_type=part.get("mimeType", ""), key=key)
        return SENT_TO_CHAT

    @tool(label="Looking at your labels", read_only=True)
    async def list_labels(self, context: TurnContext) -> list[Label]:
        """List the labels of the user's mail. A search takes them as "label:NAME"."""
        found = await self.execute(context, lambda gmail: gmail.users().labels().list(userId="me"), scope=READ)
        return [{"id": label["id"], "name": label["name"]} for label in found.get("labels", [])]

    async def _preview_send(self, context: TurnContext, attachments: list[str] | None = None, **mail: Any) -> str:
        await self.check_permission(context, COMPOSE)
        files = attached(context.message.attachments, attachments)
        return f"Send this mail:\n\n{new_mail(**mail, attachments=files).shown()}"

    @tool(label="Sending a mail", approval=_preview_send)
    async def send_message(
        self,
        context: TurnContext,
        to: list[str],
        subject: str,
        body: str,
        cc: list[str] | None = None,
        bcc: list[str] | None = None,
        attachments: list[str] | None = None,
    ) -> SentMessage:
        """Send a new mail as the user. To answer a mail, use reply_to_message.

        Args:
            to: e-mail addresses, each with or without a name: "Bob <bob@example.com>".
            subject: the subject, in one line.
            body: the text, plain, as the user would sign it.
            cc: addresses of people who get a copy.
            bcc: addresses of people who get a copy that the others do not see.
            attachments: the names of files to attach, which the user sent with the message that you answer.
        """
        files = attached(context.message.attachments, attachments)
        return await self._send(context, new_mail(to, subject, body, cc, bcc, files))

    async def _preview_reply(self, context: TurnContext, **reply: Any) -> str:
        await self.check_permission(context, COMPOSE)
        return f"Send this answer:\n\n{(await self._reply(context, **reply)).shown()}"

    @tool(label="Replying to a mail", approval=_preview_reply)
    async def reply_to_message(
        self,
        context: TurnContext,
        message_id: str,
        body: str,
        reply_all: bool = False,
        attachments: list[str] | None = None,
    ) -> SentMessage:
        """Answer one of the user's mails, in its thread.

        Args:
            message_id: the id of the mail to answer, from search_messages.
            body: the text, plain, as the user would sign it.
            reply_all: true to answer everybody who got the mail, false to answer only its sender.
            attachments: the names of files to attach, which the user sent with the message that you answer.
        """
        return await self._send(context, await self._reply(context, message_id, body, reply_all, attachments))

    async def _preview_draft(self, context: TurnContext, attachments: list[str] | None = None, **mail: Any) -> str:
        await self.check_permission(context, COMPOSE)
        files = attached(context.message.attachments, attachments)
        return f"Save this as a draft:\n\n{new_mail(**mail, attachments=files).shown()}"

    @tool(label="Drafting a mail", approval=_preview_draft)
    async def draft_message(
        self,
        context: TurnContext,
        to: list[str],
        subject: str,
        body: str,
        cc: list[str] | None = None,
        bcc: list[str] | None = None,
        attachments: list[str] | None = None,
    ) -> Draft:
        """Save a new mail in the user's drafts, without sending it.

        Args:
            to: e-mail addresses, each with or without a name: "Bob <bob@example.com>".
            subject: the subject, in one line.
            body: the text, plain, as the user would sign it.
            cc: addresses of people who get a copy.
            bcc: addresses of people who get a copy that the others do not see.
            attachments: the names of files to attach, which the user sent with the message that you answer.
        """
        files = attached(context.message.attachments, attachments)
        return await self._draft(context, new_mail(to, subject, body, cc, bcc, files))

    async def _preview_draft_reply(self, context: TurnContext, **reply: Any) -> str:
        await self.check_permission(context, COMPOSE)
        return f"Save this answer as a draft:\n\n{(await self._reply(context, **reply)).shown()}"

    @tool(label="Drafting a reply", approval=_preview_draft_reply)
    async def draft_reply(
        self,
        context: TurnContext,
        message_id: str,
        body: str,
        reply_all: bool = False,
        attachments: list[str] | None = None,
    ) -> Draft:
        """Save an answer to one of the user's mails in their drafts, without sending it.

        Args:
            message_id: the id of the mail to answer, from search_messages.
            body: the text, plain, as the user would sign it.
            reply_all: true to answer everybody who got the mail, false to answer only its sender.
            attachments: the names of files to attach, which the user sent with the message that you answer.
        """
        return await self._draft(context, await self._reply(context, message_id, body, reply_all, attachments))

    async def _preview_label(
        self,
        context: TurnContext,
        message_ids: list[str],
        add: list[str] | None = None,
        remove: list[str] | None = None,
    ) -> str:
        await self._label_ids(context, add, remove)
        changes = [f"add {preview.line(label)}" for label in add or ()]
        changes += [f"remove {preview.line(label)}" for label in remove or ()]
        return f"Change labels ({', '.join(changes)}) of these mails:\n\n{await self._listed(context, message_ids)}"

    @tool(label="Labelling mails", approval=_preview_label)
    async def label_messages(
        self,
        context: TurnContext,
        message_ids: list[str],
        add: list[str] | None = None,
        remove: list[str] | None = None,
    ) -> str:
        """Add labels to the user's mails, or remove labels. UNREAD, STARRED and IMPORTANT are labels, too.

        Args:
            message_ids: the ids of the mails, from search_messages, 25 at most.
            add: the names of labels to add, from list_labels.
            remove: the names of labels to remove, from list_labels.
        """
        added, removed = await self._label_ids(context, add, remove)
        return await self._modify(context, message_ids, addLabelIds=added, removeLabelIds=removed)

    async def _preview_archive(self, context: TurnContext, message_ids: list[str]) -> str:
        return f"Archive these mails:\n\n{await self._listed(context, message_ids)}"

    @tool(label="Archiving mails", approval=_preview_archive)
    async def archive_messages(self, context: TurnContext, message_ids: list[str]) -> str:
        """Archive mails: take them out of the user's inbox, and keep them in All Mail.

        Args:
            message_ids: the ids of the mails, from search_messages, 25 at most.
        """
        return await self._modify(context, message_ids, removeLabelIds=["INBOX"])

    async def _preview_trash(self, context: TurnContext, message_ids: list[str]) -> str:
        mails = await self._listed(context, message_ids)
        return f"Move these mails to the trash, where Gmail deletes them after 30 days:\n\n{mails}"

    @tool(label="Moving mails to the trash", approval=_preview_trash)
    async def trash_messages(self, context: TurnContext, message_ids: list[str]) -> str:
        """Move the user's mails to the trash, where they are deleted after 30 days.

        Args:
            message_ids: the ids of the mails, from search_messages, 25 at most.
        """
        return await self._modify(context, message_ids, addLabelIds=["TRASH"], removeLabelIds=["INBOX"])

    async def _send(self, context: TurnContext, mail: Mail) -> SentMessage:
        message, upload = await _encoded(mail)
        sent = await self.execute(
            context,
            lambda gmail: gmail.users().messages().send(userId="me", body=message, media_body=upload),
            scope=COMPOSE,
            writes=True,
        )
        return {"id": sent["id"], "thread_id": sent["threadId"]}

    async def _draft(self, context: TurnContext, mail: Mail) -> Draft:
        message, upload = await _encoded(mail)
        kept = await self.execute(
            context,
            lambda gmail: gmail.users().drafts().create(userId="me", body={"message": message}, media_body=upload),
            scope=COMPOSE,
            writes=True,
        )
        return {"draft_id": kept["id"]}

    async def _reply(
        self,
        context: TurnContext,
        message_id: str,
        body: str,
        reply_all: bool = False,
        attachments: list[str] | None = None,
    ) -> Mail:
        files = attached(context.message.attachments, attachments)
        message = await self._metadata(context, message_id, REPLY_HEADERS)
        own: list[str] = []
        if reply_all:
            found = await self.execute(
                context, lambda gmail: gmail.users().settings().sendAs().list(userId="me"), scope=READ
            )
            own = [alias["sendAsEmail"] for alias in found.get("sendAs", [])]
        return reply_to(message, body, to_all=reply_all, own=own, attachments=files)

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
            raise ToolError("Give at least one label to add or to remove.")
        for label in (*(add or ()), *(remove or ())):
            if label not in ids and label.casefold() not in ids:
                raise ToolError(f"The user has no label {label!r}.")
        added, removed = ([ids.get(label) or ids[label.casefold()] for label in given or ()] for given in (add, remove))
        return added, removed

    async def _listed(self, context: TurnContext, message_ids: list[str]) -> str:
        """Return a list of mails in markdown, for their owner, who has to approve a change of them."""
        await self.check_permission(context, MODIFY)
        messages = await asyncio.gather(*(self._summary(context, identifier) for identifier in _checked(message_ids)))
        return "\n".join(f"- {preview.line(_described(message))}" for message in messages)

    async def _message(self, context: TurnContext, message_id: str) -> dict[str, Any]:
        """Return a mail in full."""
        message: dict[str, Any] = await self.execute(
            context,
            lambda gmail: gmail.users().messages().get(userId="me", id=message_id, format="full"),
            scope=READ,
            missing=NO_MESSAGE,
        )
        return message

    async def _part(self, context: TurnContext, message_id: str, attachment_id: str) -> dict[str, Any]:
        """Return the part of a mail that is an attachment."""
        message = await self._message(context, message_id)
        part = next((part for part in files(message["payload"]) if part["partId"] == attachment_id), None)
        if part is None:
            raise ToolError(NO_ATTACHMENT)
        return part

    async def _content(self, context: TurnContext, message_id: str, part: dict[str, Any]) -> bytes:
        """Return the content of a part of a mail."""
        body = part["body"]
        if "data" not in body:
            body = await self._attachment(context, message_id, body["attachmentId"])
        return decoded(body["data"])

    async def _attachment(self, context: TurnContext, message_id: str, attachment_id: str) -> dict[str, str]:
        """Return the content of an attachment.

        Gmail returns another attachment id each time; the id that lasts is the part's.
        """

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


async def _encoded(mail: Mail) -> tuple[dict[str, Any], MediaInMemoryUpload | None]:
    """Return a mail as Gmail accepts it: a resource with its content, or a large content separately, as an upload.

    https://developers.google.com/workspace/gmail/api/guides/uploads
    """
    content = await mail.content()
    if len(content) > MOST_INLINE_BYTES:
        return mail.resource, MediaInMemoryUpload(content, mimetype="message/rfc822", resumable=True)
    return {**mail.resource, "raw": base64.urlsafe_b64encode(content).decode()}, None


def _checked(message_ids: list[str]) -> list[str]:
    if not 0 < len(message_ids) <= MOST_MESSAGES:
        raise ToolError(f"Give 1 to {MOST_MESSAGES} messages at once.")
    return message_ids


def _described(message: Summary) -> str:
    return f"{message.get('subject', '')} (from {message.get('from', '')}, {message.get('date', '')})"
