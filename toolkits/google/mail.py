"""Mails to send: https://developers.google.com/workspace/gmail/api/guides/sending"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import Any

from toolkits import preview
from toolkits.attachment import Attachment
from toolkits.errors import ToolError

MOST_RECIPIENTS = 50
MOST_ATTACHED_BYTES = 18_000_000  # Gmail accepts mails of 25 MB, in which encoded attachments are a third larger
UNKNOWN_TYPE = "application/octet-stream"
MOST_CHARACTERS = 20_000  # of a body: the person reads all of it before they approve
REPLY_HEADERS = ["From", "Reply-To", "To", "Cc", "Subject", "Message-ID", "References"]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to send. Gmail fills in the sender.

    Args:
        in_reply_to, references: the headers of an answer (RFC 5322, section 3.6.4).
        thread_id: Gmail's id of the thread of an answer.
        attachments: files that the person sent in the chat.
    """

    to: Sequence[Address]
    subject: str
    body: str
    cc: Sequence[Address] = ()
    bcc: Sequence[Address] = ()
    in_reply_to: str = ""
    references: str = ""
    thread_id: str | None = None
    attachments: Sequence[Attachment] = ()

    def check(self) -> None:
        """Check that the mail can be sent.

        Raises:
            ToolError: saying why it cannot.
        """
        if not self.to:
            raise ToolError("The mail needs an address in `to`.")
        if len(self.to) + len(self.cc) + len(self.bcc) > MOST_RECIPIENTS:
            raise ToolError(f"The mail may go to {MOST_RECIPIENTS} people at most.")
        if len(self.body) > MOST_CHARACTERS:
            raise ToolError(f"The body has {len(self.body)} characters, but only {MOST_CHARACTERS} are allowed.")

    def shown(self) -> str:
        """Return the whole mail as markdown, for the person who sends it."""
        fields = {"To": self.to, "Cc": self.cc, "Bcc": self.bcc}
        lines = [f"- {name}: {preview.line(_joined(people))}" for name, people in fields.items() if people]
        lines.append(f"- Subject: {preview.line(self.subject)}")
        lines += [f"- Attachment: {preview.line(attachment.title)}" for attachment in self.attachments]
        return "\n".join((*lines, "", preview.block(self.body)))

    @property
    def resource(self) -> dict[str, Any]:
        """The fields of Gmail's resource besides the mail's content.

        https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages
        """
        return {} if self.thread_id is None else {"threadId": self.thread_id}

    async def content(self) -> bytes:
        """Read the attachments, and return the mail as it is sent.

        Raises:
            ToolError: if an attachment cannot be read, or they are too large together.
        """
        attached = [(each, await each.read()) for each in self.attachments]
        if sum(len(data) for _, data in attached) > MOST_ATTACHED_BYTES:
            raise ToolError(f"The attachments may have {MOST_ATTACHED_BYTES // 10**6} MB together at most.")
        message = EmailMessage(policy=SMTP)
        for name, people in (("To", self.to), ("Cc", self.cc), ("Bcc", self.bcc)):
            if people:
                message[name] = people
        message["Subject"] = self.subject
        if self.in_reply_to:
            message["In-Reply-To"], message["References"] = self.in_reply_to, self.references
        message.set_content(self.body)
        for attachment, data in attached:
            main, _, sub = (attachment.media_type or UNKNOWN_TYPE).partition("/")
            message.add_attachment(
                data, maintype=main, subtype=sub or "octet-stream", filename=attachment.name or str(attachment.kind)
            )
        return message.as_bytes()


def new_mail(
    to: Sequence[str],
    subject: str,
    body: str,
    cc: Sequence[str] | None = None,
    bcc: Sequence[str] | None = None,
    attachments: Sequence[Attachment] = (),
) -> Mail:
    """Return a mail that is not an answer.

    Raises:
        ToolError: saying why the mail cannot be sent.
    """
    people = (addresses(to), addresses(cc or ()), addresses(bcc or ()))
    mail = Mail(people[0], _in_one_line(subject), body, *people[1:], attachments=attachments)
    mail.check()
    return mail


def reply_to(
    message: Mapping[str, Any],
    body: str,
    *,
    to_all: bool,
    own: Sequence[str],
    attachments: Sequence[Attachment] = (),
) -> Mail:
    """Return an answer to a message, in its thread.

    https://developers.google.com/workspace/gmail/api/guides/threads

    Args:
        message: the message as Gmail returns it, with `REPLY_HEADERS`.
        to_all: whether the answer goes to everybody who got the message.
        own: the addresses of the person who answers, to which the answer does not go.

    Raises:
        ToolError: saying why the mail cannot be sent.
    """
    headers = {header["name"].lower(): header["value"] for header in message["payload"].get("headers", [])}
    is_own = "SENT" in message.get("labelIds", [])
    to = _in_header(headers.get("to", "") if is_own else headers.get("reply-to") or headers.get("from", ""))
    left_out = {address.addr_spec.lower() for address in to} | {address.lower() for address in own}
    others = _in_header(", ".join(filter(None, map(headers.get, ("to", "cc"))))) if to_all else ()
    identifier, subject = _in_one_line(headers.get("message-id", "")), _in_one_line(headers.get("subject", ""))
    mail = Mail(
        to,
        subject if subject.lower().startswith("re:") else f"Re: {subject}",
        body,
        [other for other in others if other.addr_spec.lower() not in left_out],
        in_reply_to=identifier,
        references=_in_one_line(f"{headers.get('references', '')} {identifier}"),
        thread_id=message["threadId"],
        attachments=attachments,
    )
    mail.check()
    return mail


def attached(sent: Sequence[Attachment], names: Sequence[str] | None) -> list[Attachment]:
    """Return the attachments of a message that have these names.

    Args:
        sent: the attachments that the person sent with the message.
        names: the name of each, or its kind if it has no name.

    Raises:
        ToolError: if the message has no file of a name. It names the files that the message has.
    """
    by_name = {title: each for each in sent if each.fetch is not None for title in (each.title, each.name) if title}
    unknown = [name for name in names or () if name not in by_name]
    if unknown:
        there = ", ".join(repr(each.name or each.title) for each in sent if each.fetch is not None) or "no file"
        raise ToolError(f"The user's message has no file {unknown[0]!r}. It has {there}.")
    return [by_name[name] for name in names or ()]


def addresses(texts: Sequence[str]) -> Sequence[Address]:
    """Parse e-mail addresses, each with or without a name.

    Raises:
        ToolError: naming a text that is not an address.
    """
    found: dict[str, Address] = {}
    for text in filter(None, map(_in_one_line, texts)):
        try:
            header: Any = SMTP.header_factory("To", text)
        except (IndexError, HeaderParseError) as error:  # raised by the parser if a text ends too early
            raise ToolError(f"{text!r} is not an e-mail address.") from error
        if header.defects or not all(_is_complete(address) for address in header.addresses):
            raise ToolError(f"{text!r} is not an e-mail address.")
        found |= {address.addr_spec.lower(): address for address in header.addresses}
    return tuple(found.values())


def _in_header(value: str) -> Sequence[Address]:
    """Parse the addresses in a header of a received mail, and skip the malformed ones, which are common."""
    found: dict[str, Address] = {}
    for name, spec in getaddresses([_in_one_line(value)]):
        with suppress(IndexError, HeaderParseError, ValueError):  # raised by the parser if this is not an address
            address = Address(display_name=name, addr_spec=spec)
            found.setdefault(address.addr_spec.lower(), address)
    return tuple(found.values())


def _is_complete(address: Address) -> bool:
    return bool(address.username and address.domain) and address.addr_spec.isascii()


def _joined(people: Sequence[Address]) -> str:
    return ", ".join(map(str, people))


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
