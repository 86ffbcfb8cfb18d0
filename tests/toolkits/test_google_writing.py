"""What Google's toolkits change, against a server that others wrote; and what a person is shown before."""

import asyncio
import base64
import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from google_turn import OneToken, insert
from peers import seed
from peers.emulate import Emulate

from gateway import Agent, TurnContext
from oauth import SettingError
from oauth.google import GoogleAuth
from toolkits import ToolError, Toolkit
from toolkits.google import Calendar, Drive, Gmail

ALICE, BOB = seed.ALICE, seed.BOB
EVENTS = "/calendar/v3/calendars/primary/events"


async def shown(toolkit: Toolkit, tool: str, context: TurnContext, **arguments: Any) -> str:
    return await toolkit.functions[tool].preview(arguments, context)


def sent_mails(emulate: Emulate, path: str = "/messages/send") -> list[EmailMessage]:
    return [parsed(call.params.get("raw") or call.params["message"]["raw"]) for call in emulate.google.calls(path)]


def parsed(raw: str) -> EmailMessage:
    message = email.message_from_bytes(base64.urlsafe_b64decode(raw), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


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


@pytest.mark.parametrize(
    "address", ["bob", "bob@", "<>", "bob@example.com carol@example.com", "bób@example.com", "@a.b"]
)
async def test_what_is_no_address_is_said_so(google: GoogleAuth, context: TurnContext, address: str) -> None:
    with pytest.raises(ToolError, match="is not an e-mail address"):
        await shown(Gmail(google), "send_message", context, to=[address], subject="", body="")


@pytest.mark.parametrize(
    ("mail", "sentence"),
    [
        ({"to": []}, "needs an address in `to`"),
        ({"body": "x" * 20_001}, "only 20000 are allowed"),
        ({"to": [f"p{number}@example.com" for number in range(51)]}, "may go to 50 people at most"),
    ],
)
async def test_what_cannot_be_sent_is_not_asked_about(
    google: GoogleAuth, context: TurnContext, mail: dict[str, Any], sentence: str
) -> None:
    whole: dict[str, Any] = {"to": ["bob@example.com"], "subject": "", "body": "", **mail}
    with pytest.raises(ToolError, match=sentence):
        await shown(Gmail(google), "send_message", context, **whole)
    with pytest.raises(ToolError, match=sentence):
        await Gmail(google).send_message(context, **whole)


@pytest.fixture
async def question(emulate: Emulate, source: OneToken) -> str:
    """A mail that somebody sent to alice and others, who are to answer somewhere else."""
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


async def test_people_whose_mail_is_not_written_as_it_should_be_are_answered_too(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    headers = {
        "From": "J. Smith Inc. <j@example.com>",
        "To": "undisclosed-recipients:;",
        "Cc": "Doe, Jane <d@example.com>",
    }
    payload = {"headers": [{"name": name, "value": value} for name, value in headers.items()]}
    message = {"id": "m", "threadId": "t", "payload": payload}
    emulate.google.fail("/gmail/v1/users/me/messages/m", 200, body=message)
    asked = await shown(Gmail(google), "reply_to_message", context, message_id="m", body="", reply_all=True)
    assert asked.startswith(
        'Send this answer:\n\n- To: `"J. Smith Inc." <j@example.com>`\n- Cc: `Jane <d@example.com>`'
    )


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


async def test_an_event_is_created_and_deleted(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    calendar, start = Calendar(google), datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    event: dict[str, Any] = {"title": "Lunch", "start": start, "end": start + timedelta(hours=1)}
    event |= {"attendees": ["Bob <bob@example.com>"], "location": "Café", "description": "bring `it`"}
    asked = await shown(calendar, "create_event", context, **event)
    assert asked.splitlines()[2:7] == [
        "- Title: `Lunch`",
        f"- Start: `{start.isoformat()}`",
        f"- End: `{(start + timedelta(hours=1)).isoformat()}`",
        "- Place: `Café`",
        "- Guests: `bob@example.com`",
    ]
    made = await calendar.create_event(context, **event)
    (call,) = [call for call in emulate.google.calls("/events") if call.method == "POST"]
    assert "sendUpdates=all" in call.query
    listed = (await calendar.list_events(context, query="Lunch"))["events"]
    assert [each["id"] for each in listed] == [made["id"]]
    await calendar.delete_event(context, made["id"])
    assert (await calendar.list_events(context, query="Lunch"))["events"] == []
    with pytest.raises(ToolError, match="no event with that id"):
        await calendar.delete_event(context, made["id"])


async def test_times_are_in_the_calendars_own_zone_unless_they_say_another(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    calendar, start = Calendar(google), datetime.fromisoformat("2026-12-01T15:00")
    end = start + timedelta(hours=1)
    emulate.google.fail(EVENTS, 200, method="GET", body={"timeZone": "Europe/Berlin"})
    asked = await shown(calendar, "create_event", context, title="Tea", start=start, end=end)
    assert "- Start: `2026-12-01T15:00:00 Europe/Berlin`" in asked
    for wrong in ({"end": start}, {"end": end.replace(tzinfo=UTC)}):
        with pytest.raises(ToolError):
            await calendar.create_event(context, **({"title": "Tea", "start": start, "end": end} | wrong))
    whole = await shown(calendar, "create_event", context, title="Trip", start=start, end=end, whole_days=True)
    assert "- Start: `2026-12-01 (whole day)`\n- End: `2026-12-01 (whole day)`" in whole
    await calendar.create_event(context, "Trip", start, end, whole_days=True)
    (call,) = [call for call in emulate.google.calls("/events") if call.method == "POST"]
    assert (call.params["start"], call.params["end"]) == ({"date": "2026-12-01"}, {"date": "2026-12-02"})


async def test_an_event_is_changed(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    """With scripted answers, as the server has neither events.get nor events.patch."""
    calendar, path = Calendar(google), f"{EVENTS}/e1"
    guests = [{"email": "bob@example.com", "responseStatus": "accepted"}, {"email": "carol@example.com"}]
    event = {"id": "e1", "summary": "Lunch", "start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}
    emulate.google.fail(path, 200, method="GET", body={**event, "attendees": guests}, times=4)
    emulate.google.fail(path, 200, method="PATCH", body={**event, "summary": "Dinner"})
    changes: dict[str, Any] = {"title": "Dinner", "invite": ["dave@example.com"], "uninvite": ["Carol@example.com"]}
    asked = await shown(calendar, "change_event", context, event_id="e1", **changes)
    assert "- Title: `Lunch`\n- Start: `2026-12-01 (whole day)`" in asked
    assert "This will change:\n\n- Title: `Dinner`\n- Guests: `bob@example.com, dave@example.com`" in asked
    assert (await calendar.change_event(context, "e1", **changes))["title"] == "Dinner"
    (call,) = [call for call in emulate.google.calls("/e1") if call.method == "PATCH"]
    assert call.params["attendees"] == [guests[0], {"email": "dave@example.com"}]
    assert set(call.params) == {"summary", "attendees", "sendUpdates", "alt"}
    with pytest.raises(ToolError, match="both start and end"):
        await calendar.change_event(context, "e1", start=datetime.now(UTC))
    with pytest.raises(ToolError, match="nothing to change"):
        await calendar.change_event(context, "e1")


async def test_an_event_is_added_by_a_sentence(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    calendar, text = Calendar(google), "Lunch with Bob tomorrow at noon"
    emulate.google.fail(f"{EVENTS}/quickAdd", 200, body={"id": "e2", "summary": "Lunch with Bob"})
    assert text in await shown(calendar, "quick_add", context, text=text)
    assert (await calendar.quick_add(context, text))["title"] == "Lunch with Bob"
    assert emulate.google.calls("/quickAdd")[0].params["text"] == text


async def test_a_file_is_made_and_shared(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    drive = Drive(google)
    asked = await shown(drive, "upload_file", context, name="plan.md", text="# Plan", mime_type="text/markdown")
    assert asked == "Create the file `plan.md` (text/markdown):\n\n```\n# Plan\n```"
    made = await drive.upload_file(context, "plan.md", "# Plan", "text/markdown")
    assert await drive.read_file(context, made["id"]) == "# Plan"
    asked = await shown(drive, "share_file", context, file_id=made["id"], email="Bob <bob@example.com>", role="writer")
    assert "Share the file `plan.md`" in asked
    assert "with `bob@example.com`, who may then change it" in asked
    emulate.google.fail(f"/drive/v3/files/{made['id']}/permissions", 200, body={"id": "p1"})
    assert await drive.share_file(context, made["id"], "bob@example.com") == "bob@example.com may now read it."
    (call,) = emulate.google.calls("/permissions")
    assert (call.params["role"], call.params["type"], call.params["emailAddress"]) == (
        "reader",
        "user",
        "bob@example.com",
    )
    with pytest.raises(ToolError, match="no file with that id"):
        await shown(drive, "share_file", context, file_id=f"{BOB.name}-file-1", email="bob@example.com")
    with pytest.raises(ToolError, match="one e-mail address"):
        await shown(drive, "share_file", context, file_id=made["id"], email="a@example.com, b@example.com")


async def test_what_google_may_have_done_is_not_tried_again(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    emulate.google.fail("/gmail/v1/users/me/messages/send", 503, body={"error": {"code": 503, "message": "no"}})
    with pytest.raises(ToolError, match="not known whether that was done"):
        await Gmail(google).send_message(context, ["bob@example.com"], "s", "b")
    assert len(emulate.google.calls("/messages/send")) == 1


def test_what_is_asked_for_is_what_the_tools_need(google: GoogleAuth) -> None:
    for kind in (Gmail, Calendar, Drive):
        whole, reading = kind(google), kind(google, read_only=True)
        assert reading.scopes < whole.scopes
        assert all("readonly" in scope or "freebusy" in scope for scope in reading.scopes)
        assert all(function.definition.read_only for function in reading.functions.values())
        asking = [function for function in whole.functions.values() if not function.definition.read_only]
        assert asking
        assert all(function.needs_approval for function in asking)


def test_a_tool_that_is_approved_beforehand_has_to_be_there(google: GoogleAuth) -> None:
    gmail = Gmail(google, auto_approve=["archive_messages"])
    assert not gmail.functions["archive_messages"].needs_approval
    assert not gmail.clone().functions["archive_messages"].needs_approval
    with pytest.raises(SettingError, match="auto_approve='archive', but no tool of that name"):
        Agent(model="test", toolkits=[Gmail(google, auto_approve=["archive"])]).check()
