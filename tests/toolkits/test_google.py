"""Google's toolkits, against a server that others wrote."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import get_type_hints

import httpx
import pytest
from google_turn import OneToken, insert
from peers import seed
from peers.emulate import Emulate
from pydantic import TypeAdapter

from gateway import TurnContext
from oauth.google import GoogleAuth
from toolkits import ToolError
from toolkits.google import Calendar, Drive, Gmail

ALICE = seed.ALICE


def test_what_the_tools_return_can_be_described(google: GoogleAuth) -> None:
    """A type that pydantic takes: else each start warns of it, and the model is told nothing of it."""
    tools = [tool for kit in (Gmail, Calendar, Drive) for tool in kit(google).functions.values()]
    assert len(tools) == 23
    for tool in tools:
        TypeAdapter(get_type_hints(tool.definition.function)["return"])


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


async def test_what_is_not_there_or_somebody_elses_is_said_so_in_a_sentence(
    google: GoogleAuth, context: TurnContext
) -> None:
    bobs = f"{seed.BOB.name}-mail-1"
    for identifier in ("nothing", bobs):
        with pytest.raises(ToolError, match="The user has no message with that id"):
            await Gmail(google).read_message(context, identifier)
    with pytest.raises(ToolError, match="The user has no thread with that id"):
        await Gmail(google).read_thread(context, "nothing")
    with pytest.raises(ToolError, match="The user has no event with that id"):
        await Calendar(google).get_event(context, "nothing")
    with pytest.raises(ToolError, match="The user has no file with that id"):
        await Drive(google).read_file(context, f"{seed.BOB.name}-file-1")


@pytest.mark.parametrize(
    ("status", "sentence"), [(429, "asks for a pause"), (403, "refused that"), (503, "at the moment")]
)
async def test_errors_are_said_plainly(
    google: GoogleAuth,
    context: TurnContext,
    emulate: Emulate,
    status: int,
    sentence: str,
) -> None:
    emulate.google.fail("/gmail/v1/users/me/labels", status, body={"error": {"code": status, "message": "no"}})
    with pytest.raises(ToolError, match=sentence) as raised:
        await Gmail(google, retries=0).list_labels(context)
    assert "http" not in str(raised.value)


async def test_events_are_listed_and_searched_in_order(google: GoogleAuth, context: TurnContext) -> None:
    calendar = Calendar(google)
    found = await calendar.list_events(context, limit=2)
    assert [event["title"] for event in found["events"]] == ["ALICE-EVENT-1", "ALICE-EVENT-2"]
    assert set(found["events"][0]) <= {"id", "title", "start", "end", "organizer", "attendees"}
    rest = await calendar.list_events(context, limit=2, page=found["next_page"])
    assert [event["title"] for event in rest["events"]] == ["ALICE-EVENT-3"]
    assert (await calendar.list_events(context, days=1))["events"][1:] == []
    named = await calendar.list_events(context, query="EVENT-2")
    assert [event["title"] for event in named["events"]] == ["ALICE-EVENT-2"]


async def test_one_event_is_read(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    item = {
        "id": "e1",
        "summary": "Lunch",
        "start": {"date": "2026-11-24"},
        "end": {"date": "2026-11-25"},
        "attendees": [{"email": "bob@example.com", "responseStatus": "accepted"}],
        "description": "x" * 3000,
        "etag": "1",
    }
    emulate.google.fail("/calendar/v3/calendars/primary/events/e1", 200, method="GET", body=item)
    event = await Calendar(google).get_event(context, "e1")
    assert (event["title"], event["start"], event["attendees"]) == (
        "Lunch",
        "2026-11-24",
        ["bob@example.com (accepted)"],
    )
    assert event["description"].endswith("[1000 more characters]")
    assert "etag" not in event


async def test_busy_times_are_found(google: GoogleAuth, context: TurnContext, source: OneToken) -> None:
    calendar, now = Calendar(google), datetime.now(UTC)
    found = await calendar.find_busy_times(context, now, now + timedelta(days=7))
    assert len(found["the user"]) == seed.ITEMS_EACH
    assert source.asked == [{"https://www.googleapis.com/auth/calendar.freebusy"}]
    with pytest.raises(ToolError, match="has to be after the start"):
        await calendar.find_busy_times(context, now, now)


async def test_files_are_searched_and_read(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    drive = Drive(google)
    found = await drive.search_files(context, limit=2)
    assert [file["name"].startswith("ALICE-FILE-") for file in found["files"]] == [True, True]
    rest = await drive.search_files(context, limit=2, page=found["next_page"])
    assert len(rest["files"]) == 1
    assert "content" in await drive.read_file(context, found["files"][0]["id"])
    await drive.search_files(context, "it's \\ here")
    query = httpx.QueryParams(emulate.google.calls("/drive/v3/files")[-1].query)["q"]
    assert query == r"trashed = false and (name contains 'it\'s \\ here' or fullText contains 'it\'s \\ here')"


async def test_a_google_document_is_exported_and_what_is_no_text_is_not_read(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    drive, path = Drive(google), "/drive/v3/files/f1"
    document = {"id": "f1", "name": "Plan", "mimeType": "application/vnd.google-apps.document"}
    emulate.google.fail(path, 200, body=document)
    emulate.google.fail(f"{path}/export", 200, body="# The plan")
    assert "# The plan" in await drive.read_file(context, "f1")
    asked = emulate.google.calls("/export")[0]
    assert httpx.QueryParams(asked.query)["mimeType"] == "text/markdown"
    emulate.google.fail(path, 200, body={"id": "f1", "name": "film.mp4", "mimeType": "video/mp4", "size": "99"})
    with pytest.raises(ToolError, match=r"film\.mp4 cannot be read as text"):
        await drive.read_file(context, "f1")
