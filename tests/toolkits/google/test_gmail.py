"""Gmail, against a server that others wrote."""

import asyncio
import base64
import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.turns.google import OneToken, insert, shown

from gateway import TurnContext
from oauth.google import GoogleAuth
from toolkits import ToolError
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
    """A mail to alice and others, whose sender wants answers at another address."""
    mail = EmailMessage()
    mail["From"], mail["Reply-To"] = "Bob <bob@work.example>", "Bob <bob@home.example>"
    mail["To"], mail["Cc"] = f"Alice <{ALICE.email}>, carol@example.com", "bob@home.example, dave@example.com"
    mail["Subject"], mail["Message-ID"], mail["References"] = "Noon?", "<2@example.com>", "<1@example.com>"
    mail.set_content("Is noon good?")
    return await asyncio.to_thread(insert, emulate, source, mail)


async def test_an_answer_goes_where_it_was_asked_for_and_stays_in_its_thread(
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
    assert everybody["Cc"] == "carol@example.com, dave@example.com"  # and not alice herself
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
