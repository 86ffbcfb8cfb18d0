"""Google Calendar, against a third-party stand-in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.turns.google import OneToken, shown

from gateway import TurnContext
from oauth.google import GoogleAuth
from toolkits import ToolError
from toolkits.google import Calendar

EVENTS = "/calendar/v3/calendars/primary/events"


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


async def test_times_without_an_offset_are_in_the_calendars_time_zone(
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
    """Script the answers, since the stand-in has neither events.get nor events.patch."""
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


async def test_an_event_is_added_from_a_sentence(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    calendar, text = Calendar(google), "Lunch with Bob tomorrow at noon"
    emulate.google.fail(f"{EVENTS}/quickAdd", 200, body={"id": "e2", "summary": "Lunch with Bob"})
    assert text in await shown(calendar, "quick_add", context, text=text)
    assert (await calendar.quick_add(context, text))["title"] == "Lunch with Bob"
    assert emulate.google.calls("/quickAdd")[0].params["text"] == text
