"""Gmail, against a third-party stand-in."""

import asyncio
import base64
import email
import email.policy
from collections.abc import AsyncGenerator
from email.message import EmailMessage
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.files import PNG
from support.turns.google import OneToken, SentToChat, insert, shown, turn_of

from gateway import TurnContext
from oauth.google import GoogleAuth
from toolkits import Attachment, AttachmentKind, ToolError
from toolkits.google import Gmail

ALICE, BOB = seed.ALICE, seed.BOB


def sent_mails(emulate: Emulate, path: str = "/messages/send") -> list[EmailMessage]:
    return [parsed(call.params.get("raw") or call.params["message"]["raw"]) for call in emulate.google.calls(path)]


def parsed(raw: str) -> EmailMessage:
    message = email.message_from_bytes(base64.urlsafe_b64decode(raw), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


async def test_mail_is_searched_page_by_page_and_read(google: GoogleAuth, context: TurnContext) -> None:
    gmail = Gmail(google)
    first = await gmail.search_messages(context, limit=2)
    assert [message["subject"] for message in first["messages"]] == ["ALICE-MAIL-1 subject", "ALICE-MAIL-2 subject"]
    rest = await gmail.search_messages(context, limit=2, page=first["next_page"])
    assert [message["subject"] for message in rest["messages"]] == ["ALICE-MAIL-3 subject"]
    assert rest["next_page"] is None
    message = await gmail.read_message(context, first["messages"][0]["id"])
    assert message["body"] == "ALICE-MAIL-1 body, for alice alone."
    assert (message["from"], message["attachments"]) == ("Sender 1 <sender1@example.com>", [])
    thread = await gmail.read_thread(context, message["thread_id"])
    assert [each["id"] for each in thread] == [message["id"]]
    assert "INBOX" in {label["name"] for label in await gmail.list_labels(context)}


async def test_an_attachment_that_is_text_is_read(
    google: GoogleAuth, context: TurnContext, emulate: Emulate, source: OneToken
) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", ALICE.email, "with files"
    mail.set_content("see the files")
    mail.add_attachment("name,amount\nrent,800\n", subtype="csv", filename="costs.csv")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="cat.png")
    identifier = await asyncio.to_thread(insert, emulate, source, mail)
    gmail = Gmail(google)
    message = await gmail.read_message(context, identifier)
    files = {file["name"]: file for file in message["attachments"]}
    assert (files["costs.csv"]["type"], files["cat.png"]["type"]) == ("text/csv", "image/png")
    assert message["body"].strip() == "see the files"
    assert "rent,800" in await gmail.read_attachment(context, identifier, files["costs.csv"]["id"])
    with pytest.raises(ToolError, match=r"cat\.png cannot be read as text: it has the type image/png"):
        await gmail.read_attachment(context, identifier, files["cat.png"]["id"])
    with pytest.raises(ToolError, match="no attachment with that id"):
        await gmail.read_attachment(context, identifier, "99")


async def test_an_attachment_is_sent_to_the_chat_once_in_a_turn(
    google: GoogleAuth, emulate: Emulate, source: OneToken
) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", ALICE.email, "with a picture"
    mail.set_content("see the picture")
    mail.add_attachment(PNG, maintype="image", subtype="png", filename="cat.png")
    identifier = await asyncio.to_thread(insert, emulate, source, mail)
    chat, gmail = SentToChat(), Gmail(google)
    context = turn_of(source, sent=chat)
    (file,) = (await gmail.read_message(context, identifier))["attachments"]
    await gmail.send_attachment_to_chat(context, identifier, file["id"])
    assert chat.files == {"cat.png": PNG}
    assert chat.keys == [f"r/gmail/{identifier}/{file['id']}"]
    with pytest.raises(ToolError, match="no attachment with that id"):
        await gmail.send_attachment_to_chat(context, identifier, "99")


async def _content(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


async def test_a_mail_has_the_files_that_the_user_sent_in_the_chat(
    google: GoogleAuth, emulate: Emulate, source: OneToken, question: str
) -> None:
    sent = [
        Attachment(AttachmentKind.IMAGE, name="cat.png", media_type="image/png", fetch=lambda: _content(PNG)),
        Attachment(AttachmentKind.VOICE, media_type="audio/ogg", fetch=lambda: _content(b"OggS")),
        Attachment(AttachmentKind.LOCATION, text="52.5, 13.4"),
    ]
    gmail, context = Gmail(google), turn_of(source, sent)
    mail: dict[str, Any] = {"to": [BOB.email], "subject": "Look", "body": "a cat", "attachments": ["cat.png", "voice"]}
    asked = await shown(gmail, "send_message", context, **mail)
    assert "- Attachment: `image 'cat.png'`\n- Attachment: `voice`" in asked
    await gmail.send_message(context, **mail)
    await gmail.reply_to_message(context, question, "a cat", attachments=["cat.png"])
    new, answer = sent_mails(emulate)
    found = [(part.get_content_type(), part.get_filename(), part.get_content()) for part in new.iter_attachments()]
    assert found == [("image/png", "cat.png", PNG), ("audio/ogg", "voice", b"OggS")]
    assert [part.get_content() for part in answer.iter_attachments()] == [PNG]
    assert answer["Subject"] == "Re: Noon?"
    with pytest.raises(ToolError, match=r"has no file 'dog\.png'\. It has 'cat\.png', 'voice'\."):
        await gmail.draft_message(context, [BOB.email], "Look", "a dog", attachments=["dog.png"])


async def test_a_large_mail_is_uploaded_and_a_huge_one_refused(
    google: GoogleAuth, emulate: Emulate, source: OneToken
) -> None:
    upload = f"{emulate.google_url}/upload/session"
    large = Attachment(AttachmentKind.DOCUMENT, name="a.bin", fetch=lambda: _content(bytes(4_000_000)))
    huge = Attachment(AttachmentKind.DOCUMENT, name="b.bin", fetch=lambda: _content(bytes(19_000_000)))
    gmail, context = Gmail(google), turn_of(source, [large, huge])
    path = "/upload/gmail/v1/users/me/messages/send"
    emulate.google.fail(path, 200, headers={"Location": upload}, body="")
    emulate.google.fail("/upload/session", 200, body={"id": "m1", "threadId": "t1"})
    sent = await gmail.send_message(context, [BOB.email], "Look", "large", attachments=["a.bin"])
    assert sent == {"id": "m1", "thread_id": "t1"}
    begun = emulate.google.calls(path)[0]
    assert "uploadType=resumable" in begun.query
    with pytest.raises(ToolError, match="18 MB together"):
        await gmail.send_message(context, [BOB.email], "Look", "huge", attachments=["b.bin"])


async def test_a_mail_is_shown_and_sent(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    gmail = Gmail(google)
    mail: dict[str, Any] = {
        "to": [f"Bob Ünal <{BOB.email}>"],
        "cc": ["carol@example.com"],
        "bcc": ["dave@example.com"],
        "subject": "Lunch\nBcc: eve@example.com",
        "body": "At noon?\n\nGrüße",
    }
    assert await shown(gmail, "send_message", context, **mail) == (
        "Send this mail:\n\n"
        f"- To: `Bob Ünal <{BOB.email}>`\n- Cc: `carol@example.com`\n- Bcc: `dave@example.com`\n"
        "- Subject: `Lunch Bcc: eve@example.com`\n\n```\nAt noon?\n\nGrüße\n```"
    )
    assert sent_mails(emulate) == []
    sent = await gmail.send_message(context, **mail)
    (message,) = sent_mails(emulate)
    assert (message["To"], message["Cc"], message["Bcc"]) == (f"Bob Ünal <{BOB.email}>", *mail["cc"], *mail["bcc"])
    assert (message["Subject"], message.get_content().replace("\r\n", "\n")) == (
        "Lunch Bcc: eve@example.com",
        "At noon?\n\nGrüße\n",
    )
    kept = await gmail.read_message(context, sent["id"])
    assert kept["subject"] == "Lunch Bcc: eve@example.com"
    assert kept["thread_id"] == sent["thread_id"]


@pytest.fixture
async def question(emulate: Emulate, source: OneToken) -> str:
    """Put a mail to Alice and others into her inbox, whose sender wants replies at another address."""
    mail = EmailMessage()
    mail["From"], mail["Reply-To"] = "Bob <bob@work.example>", "Bob <bob@home.example>"
    mail["To"], mail["Cc"] = f"Alice <{ALICE.email}>, carol@example.com", "bob@home.example, dave@example.com"
    mail["Subject"], mail["Message-ID"], mail["References"] = "Noon?", "<2@example.com>", "<1@example.com>"
    mail.set_content("Is noon good?")
    return await asyncio.to_thread(insert, emulate, source, mail)


async def test_a_reply_goes_to_the_reply_address_and_stays_in_its_thread(
    google: GoogleAuth, context: TurnContext, emulate: Emulate, question: str
) -> None:
    gmail = Gmail(google)
    asked = await shown(gmail, "reply_to_message", context, message_id=question, body="Yes.")
    assert asked.startswith("Send this answer:\n\n- To: `Bob <bob@home.example>`\n- Subject: `Re: Noon?`")
    await gmail.reply_to_message(context, question, "Yes.")
    await gmail.reply_to_message(context, question, "Yes, all.", reply_all=True)
    one, everybody = sent_mails(emulate)
    assert (one["To"], one["Cc"], one["Subject"]) == ("Bob <bob@home.example>", None, "Re: Noon?")
    assert (one["In-Reply-To"], one["References"]) == ("<2@example.com>", "<1@example.com> <2@example.com>")
    assert everybody["Cc"] == "carol@example.com, dave@example.com"  # without Alice herself
    (call, _) = emulate.google.calls("/messages/send")
    assert call.params["threadId"] == (await gmail.read_message(context, question))["thread_id"]
    with pytest.raises(ToolError, match="no message with that id"):
        await shown(gmail, "reply_to_message", context, message_id="nothing", body="")


async def test_drafts_are_kept_and_not_sent(
    google: GoogleAuth, context: TurnContext, emulate: Emulate, question: str
) -> None:
    gmail = Gmail(google)
    mail: dict[str, Any] = {"to": ["bob@example.com"], "subject": "Plan", "body": "later"}
    assert (await shown(gmail, "draft_message", context, **mail)).startswith("Save this as a draft:")
    assert "Re: Noon?" in await shown(gmail, "draft_reply", context, message_id=question, body="maybe")
    assert (await gmail.draft_message(context, **mail))["draft_id"]
    await gmail.draft_reply(context, question, "maybe")
    assert [draft["Subject"] for draft in sent_mails(emulate, "/me/drafts")] == ["Plan", "Re: Noon?"]
    assert sent_mails(emulate) == []


async def test_mails_are_labelled_archived_and_trashed(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    gmail = Gmail(google)
    ids = [message["id"] for message in (await gmail.search_messages(context, limit=2))["messages"]]
    asked = await shown(gmail, "label_messages", context, message_ids=ids, add=["starred"], remove=["UNREAD"])
    assert asked.startswith(
        "Change labels (add `starred`, remove `UNREAD`) of these mails:\n\n- `ALICE-MAIL-1 subject (from Sender 1"
    )
    await gmail.label_messages(context, ids, add=["starred"], remove=["UNREAD"])
    assert ids == [message["id"] for message in (await gmail.search_messages(context, "is:starred"))["messages"]]
    assert "ALICE-MAIL-2" in await shown(gmail, "archive_messages", context, message_ids=ids)
    assert await gmail.archive_messages(context, ids[:1]) == "Done with 1 messages."
    assert ids[0] not in {each["id"] for each in (await gmail.search_messages(context, "in:inbox"))["messages"]}
    assert "trash" in await shown(gmail, "trash_messages", context, message_ids=ids[1:])
    await gmail.trash_messages(context, ids[1:])
    assert emulate.google.calls("/batchModify")[-1].params["addLabelIds"] == ["TRASH"]
    assert ids[1] not in {each["id"] for each in (await gmail.search_messages(context))["messages"]}
    with pytest.raises(ToolError, match="no label 'Nonsense'"):
        await shown(gmail, "label_messages", context, message_ids=ids, add=["Nonsense"])
    with pytest.raises(ToolError, match="no message with that id"):
        await shown(gmail, "trash_messages", context, message_ids=[*ids, f"{BOB.name}-mail-1"])
    with pytest.raises(ToolError, match="1 to 25 messages"):
        await gmail.trash_messages(context, ["m"] * 26)
