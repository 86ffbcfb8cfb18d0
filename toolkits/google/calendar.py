"""Google Calendar, by its REST API: https://developers.google.com/workspace/calendar/api/v3/reference"""

from datetime import UTC, datetime, timedelta
from typing import Any

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from toolkits.context import TurnContext
from toolkits.function import ToolError, tool
from toolkits.google.service import GoogleToolkit, shortened

READ = "https://www.googleapis.com/auth/calendar.events.readonly"
FREE_BUSY = "https://www.googleapis.com/auth/calendar.freebusy"

MOST_EVENTS = 50  # in one answer
MOST_DAYS = 366
MOST_CALENDARS = 20
MOST_ATTENDEES = 20
MOST_DESCRIPTION_CHARACTERS = 2_000

NO_EVENT = "The user has no event with that id."


class Event(TypedDict, total=False):
    id: str
    title: str
    start: str
    end: str
    location: str
    organizer: str
    attendees: list[str]
    description: str
    meeting_link: str


class EventPage(TypedDict):
    events: list[Event]
    next_page: str | None


class Busy(TypedDict):
    start: str
    end: str


class Calendar(GoogleToolkit):
    """Reads the calendar of the person who asks.

    Args:
        auth: how people connect their Google account; one with the client of the environment unless given.
    """

    api = "calendar"
    version = "v3"
    scopes = frozenset({READ, FREE_BUSY})

    @tool(read_only=True)
    async def list_events(
        self,
        context: TurnContext,
        start: datetime | None = None,
        days: int = 7,
        query: str = "",
        limit: int = 20,
        page: str | None = None,
    ) -> EventPage:
        """List events of the user's calendar, in order of their beginning.

        Args:
            start: from when on, with its time zone; from now on unless given.
            days: how many days from then.
            query: only events with these words in them.
            limit: how many events to return, 50 at most.
            page: the next_page of an earlier answer, to go on from there, with the other arguments as they were.
        """
        begin = _aware(start or datetime.now(UTC))
        end = begin + timedelta(days=min(max(days, 1), MOST_DAYS))
        found = await self.execute(
            context,
            lambda calendar: calendar.events().list(
                calendarId="primary",
                timeMin=begin.isoformat(),
                timeMax=end.isoformat(),
                q=query or None,
                maxResults=min(max(limit, 1), MOST_EVENTS),
                pageToken=page,
                singleEvents=True,
                orderBy="startTime",
            ),
            scope=READ,
        )
        return {"events": [_event(item) for item in found.get("items", [])], "next_page": found.get("nextPageToken")}

    @tool(read_only=True)
    async def get_event(self, context: TurnContext, event_id: str) -> Event:
        """Read one event of the user's calendar.

        Args:
            event_id: the id that list_events gave.
        """
        found = await self.execute(
            context,
            lambda calendar: calendar.events().get(calendarId="primary", eventId=event_id),
            scope=READ,
            missing=NO_EVENT,
        )
        return _event(found)

    @tool(read_only=True)
    async def find_busy_times(
        self, context: TurnContext, start: datetime, end: datetime, people: list[str] | None = None
    ) -> dict[str, list[Busy] | str]:
        """Find when people are busy: the user, or those whose calendars the user may see.

        Args:
            start: from when, with its time zone.
            end: until when, with its time zone.
            people: their e-mail addresses; the user alone unless given.
        """
        begin, until = _aware(start), _aware(end)
        if not begin < until <= begin + timedelta(days=MOST_DAYS):
            raise ToolError("The end has to be after the start, and within a year of it.")
        items = [{"id": person} for person in (people or ["primary"])[:MOST_CALENDARS]]
        body = {"timeMin": begin.isoformat(), "timeMax": until.isoformat(), "items": items}
        found = await self.execute(context, lambda calendar: calendar.freebusy().query(body=body), scope=FREE_BUSY)
        return {
            "the user" if name == "primary" else name: _busy(calendar)
            for name, calendar in found.get("calendars", {}).items()
        }


def _busy(calendar: dict[str, Any]) -> list[Busy] | str:
    if calendar.get("errors"):
        return "This calendar cannot be seen."
    return [{"start": busy["start"], "end": busy["end"]} for busy in calendar.get("busy", [])]


def _event(item: dict[str, Any]) -> Event:
    event: Event = {
        "id": item["id"],
        "title": item.get("summary", ""),
        "start": _when(item.get("start", {})),
        "end": _when(item.get("end", {})),
        "location": item.get("location", ""),
        "organizer": item.get("organizer", {}).get("email", ""),
        "attendees": [_attendee(each) for each in item.get("attendees", [])[:MOST_ATTENDEES]],
        "description": shortened(item.get("description", ""), MOST_DESCRIPTION_CHARACTERS),
        "meeting_link": item.get("hangoutLink", ""),
    }
    return {name: value for name, value in event.items() if value}  # type: ignore[return-value]


def _when(moment: dict[str, str]) -> str:
    """A time, or a day for an event that lasts whole days."""
    return moment.get("dateTime") or moment.get("date", "")


def _attendee(attendee: dict[str, Any]) -> str:
    return f"{attendee.get('email', '')} ({attendee.get('responseStatus', 'unknown')})"


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
