"""Events, as Google returns them, for the model and for people: https://developers.google.com/workspace/calendar/api/v3/reference/events"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from typing_extensions import TypedDict  # pydantic accepts no other before Python 3.12

from toolkits import preview
from toolkits.google.mail import addresses
from toolkits.google.service import shortened

MOST_ATTENDEES = 20  # of an event that the model reads
MOST_DESCRIPTION_CHARACTERS = 2_000


class CalendarEvent(TypedDict, total=False):
    """An event, for the model."""

    id: str
    title: str
    start: str
    end: str
    location: str
    organizer: str
    attendees: list[str]
    description: str
    meeting_link: str


def read(item: dict[str, Any]) -> CalendarEvent:
    """Return an event for the model, from what Google returned."""
    event: CalendarEvent = {
        "id": item["id"],
        "title": item.get("summary", ""),
        "start": _when(item.get("start", {})),
        "end": _when(_inclusive(item.get("end", {}))),
        "location": item.get("location", ""),
        "organizer": item.get("organizer", {}).get("email", ""),
        "attendees": [_attendee(each) for each in item.get("attendees", [])[:MOST_ATTENDEES]],
        "description": shortened(item.get("description", ""), MOST_DESCRIPTION_CHARACTERS),
        "meeting_link": item.get("hangoutLink", ""),
    }
    return {name: value for name, value in event.items() if value}  # type: ignore[return-value]


def shown(event: dict[str, Any]) -> str:
    """Return an event, or the changes of one, as markdown for its owner."""
    invited = ", ".join(guest.get("email", "") for guest in event.get("attendees", []))
    fields = {
        "Title": event.get("summary"),
        "Start": _named(event["start"]) if "start" in event else None,
        "End": _named(_inclusive(event["end"])) if "end" in event else None,
        "Place": event.get("location"),
        "Guests": invited if "attendees" in event else None,
    }
    lines = [f"- {name}: {preview.line(value)}" for name, value in fields.items() if value is not None]
    description = event.get("description")
    return "\n".join(lines) + ("" if description is None else f"\n\n{preview.block(description)}")


def guests(addressees: Sequence[str]) -> list[dict[str, Any]]:
    """Return guests for Google, from e-mail addresses.

    Raises:
        ToolError: naming a text that is not an address.
    """
    return [{"email": address.addr_spec} for address in addresses(addressees)]


def _when(moment: dict[str, str]) -> str:
    """Return the time; for an event that lasts whole days, the day."""
    return moment.get("dateTime") or moment.get("date", "")


def _attendee(attendee: dict[str, Any]) -> str:
    return f"{attendee.get('email', '')} ({attendee.get('responseStatus', 'unknown')})"


def _named(moment: dict[str, str]) -> str:
    kind = moment.get("timeZone", "") if "dateTime" in moment else "(whole day)"
    return f"{_when(moment)} {kind}".strip()


def _inclusive(end: dict[str, str]) -> dict[str, str]:
    """Return the end of an event. For whole days this is the last day, while Google's end is the day after it."""
    return {"date": str(date.fromisoformat(end["date"]) - timedelta(days=1))} if end.get("date") else end
