"""Google Calendar, through its REST API: https://developers.google.com/workspace/calendar/api/v3/reference"""

from datetime import UTC, datetime, timedelta
from typing import Any

from typing_extensions import TypedDict  # pydantic accepts no other before Python 3.12

from toolkits import preview
from toolkits.context import TurnContext
from toolkits.errors import ToolError
from toolkits.function import tool
from toolkits.google.event import MOST_DESCRIPTION_CHARACTERS, CalendarEvent, guests, read, shown
from toolkits.google.service import GoogleToolkit

READ = "https://www.googleapis.com/auth/calendar.events.readonly"
WRITE = "https://www.googleapis.com/auth/calendar.events"
FREE_BUSY = "https://www.googleapis.com/auth/calendar.freebusy"

MOST_EVENTS = 50  # in one answer
MOST_DAYS = 366  # in one answer
MOST_CALENDARS = 20  # in one answer

END_FIRST = "The end has to be after the start."
NO_EVENT = "The user has no event with that id."


class EventPage(TypedDict):
    """A page of the events that were found, and the token of the next page."""

    time_zone: str
    events: list[CalendarEvent]
    next_page: str | None


class Busy(TypedDict):
    """A time in which somebody is busy."""

    start: str
    end: str


class Calendar(GoogleToolkit):
    """The calendar of the person who asks. It has the arguments of `GoogleToolkit`."""

    api = "calendar"
    version = "v3"
    read_scopes = frozenset({READ, FREE_BUSY})
    write_scopes = frozenset({WRITE})

    @tool(label="Looking at your calendar", read_only=True)
    async def list_events(
        self,
        context: TurnContext,
        start: datetime | None = None,
        days: int = 7,
        query: str = "",
        limit: int = 20,
        page: str | None = None,
    ) -> EventPage:
        """List the events of the user's calendar, earliest first.

        Args:
            start: list events from this time on, given with its time zone. Default: now.
            days: how many days to list, counted from start.
            query: list only events that contain these words.
            limit: how many events to return, 50 at most.
            page: the next_page of an earlier answer, to get the next events. Repeat the other arguments unchanged.
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
        return {
            "time_zone": found.get("timeZone", ""),
            "events": [read(item) for item in found.get("items", [])],
            "next_page": found.get("nextPageToken"),
        }

    @tool(label="Reading an event", read_only=True)
    async def get_event(self, context: TurnContext, event_id: str) -> CalendarEvent:
        """Read one event of the user's calendar.

        Args:
            event_id: the event's id, from list_events.
        """
        return read(await self._get(context, event_id))

    @tool(label="Looking for free time", read_only=True)
    async def find_busy_times(
        self, context: TurnContext, start: datetime, end: datetime, people: list[str] | None = None
    ) -> dict[str, list[Busy] | str]:
        """Find out when the user is busy, or other people whose calendars the user can see.

        Args:
            start: the beginning of the time to look at, with its time zone.
            end: the end of the time to look at, with its time zone.
            people: the e-mail addresses of the people. Default: only the user.
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

    async def _preview_create(self, context: TurnContext, **event: Any) -> str:
        await self.check_permission(context, WRITE)
        return f"Create this event, and invite its guests:\n\n{shown(await self._new_event(context, **event))}"

    @tool(label="Adding an event to your calendar", approval=_preview_create)
    async def create_event(
        self,
        context: TurnContext,
        title: str,
        start: datetime,
        end: datetime,
        whole_days: bool = False,
        attendees: list[str] | None = None,
        location: str = "",
        description: str = "",
    ) -> CalendarEvent:
        """Create an event in the user's calendar. Invited people get an e-mail.

        Args:
            title: the event's title.
            start: when it begins. Without a time zone, this is in the calendar's own time zone.
            end: when it ends.
            whole_days: true if it lasts whole days, from the day of start to the day of end, both included.
            attendees: the e-mail addresses of the people to invite.
            location: where it takes place.
            description: more about the event, as plain text.
        """
        event = await self._new_event(context, title, start, end, whole_days, attendees, location, description)
        made = await self.execute(
            context,
            lambda calendar: calendar.events().insert(calendarId="primary", body=event, sendUpdates="all"),
            scope=WRITE,
            writes=True,
        )
        return read(made)

    async def _preview_quick_add(self, context: TurnContext, text: str) -> str:
        await self.check_permission(context, WRITE)
        return f"Create an event from this text, as Google understands it:\n\n{preview.block(_checked_text(text))}"

    @tool(label="Adding an event to your calendar", approval=_preview_quick_add)
    async def quick_add(self, context: TurnContext, text: str) -> CalendarEvent:
        """Create an event in the user's calendar from a sentence, like "Lunch with Bob tomorrow at noon".

        Args:
            text: what happens and when, in the user's words.
        """
        made = await self.execute(
            context,
            lambda calendar: calendar.events().quickAdd(
                calendarId="primary", text=_checked_text(text), sendUpdates="all"
            ),
            scope=WRITE,
            writes=True,
        )
        return read(made)

    async def _preview_change(self, context: TurnContext, event_id: str, **changes: Any) -> str:
        await self.check_permission(context, WRITE)
        event = await self._get(context, event_id)
        changed = shown(await self._changes(context, event, **changes))
        return f"Change this event, and tell its guests:\n\n{shown(event)}\n\nThis will change:\n\n{changed}"

    @tool(label="Changing an event", approval=_preview_change)
    async def change_event(
        self,
        context: TurnContext,
        event_id: str,
        title: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        whole_days: bool = False,
        invite: list[str] | None = None,
        uninvite: list[str] | None = None,
        location: str | None = None,
        description: str | None = None,
    ) -> CalendarEvent:
        """Change an event in the user's calendar. Its guests get an e-mail. Leave out what stays the same.

        Args:
            event_id: the event's id, from list_events.
            title: the new title.
            start: when it begins now. Give start and end together.
            end: when it ends now. Give start and end together.
            whole_days: true if it now lasts whole days, from the day of start to the day of end, both included.
            invite: the e-mail addresses of guests to add.
            uninvite: the e-mail addresses of guests to remove.
            location: the new place.
            description: the new description, as plain text. It replaces the old one.
        """
        event = await self._get(context, event_id)
        changes = await self._changes(
            context, event, title, start, end, whole_days, invite, uninvite, location, description
        )
        changed = await self.execute(
            context,
            lambda calendar: calendar.events().patch(
                calendarId="primary", eventId=event_id, body=changes, sendUpdates="all"
            ),
            scope=WRITE,
            missing=NO_EVENT,
            writes=True,
        )
        return read(changed)

    async def _preview_delete(self, context: TurnContext, event_id: str) -> str:
        await self.check_permission(context, WRITE)
        return f"Delete this event, and tell its guests:\n\n{shown(await self._get(context, event_id))}"

    @tool(label="Deleting an event", approval=_preview_delete)
    async def delete_event(self, context: TurnContext, event_id: str) -> str:
        """Delete an event from the user's calendar. Its guests get an e-mail.

        Args:
            event_id: the event's id, from list_events.
        """
        await self.execute(
            context,
            lambda calendar: calendar.events().delete(calendarId="primary", eventId=event_id, sendUpdates="all"),
            scope=WRITE,
            missing=NO_EVENT,
            writes=True,
        )
        return "The event is deleted."

    async def _get(self, context: TurnContext, event_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.execute(
            context,
            lambda calendar: calendar.events().get(calendarId="primary", eventId=event_id),
            scope=READ,
            missing=NO_EVENT,
        )
        return found

    async def _new_event(
        self,
        context: TurnContext,
        title: str,
        start: datetime,
        end: datetime,
        whole_days: bool = False,
        attendees: list[str] | None = None,
        location: str = "",
        description: str = "",
    ) -> dict[str, Any]:
        """Return a new event for Google: https://developers.google.com/workspace/calendar/api/v3/reference/events"""
        event: dict[str, Any] = {"summary": title, **await self._times(context, start, end, whole_days)}
        event |= {"attendees": guests(attendees)} if attendees else {}
        event |= {"location": location} if location else {}
        return event | ({"description": _checked_text(description)} if description else {})

    async def _changes(
        self,
        context: TurnContext,
        event: dict[str, Any],
        title: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        whole_days: bool = False,
        invite: list[str] | None = None,
        uninvite: list[str] | None = None,
        location: str | None = None,
        description: str | None = None,
    ) -> dict[str, Any]:
        given = {"summary": title, "location": location, "description": description and _checked_text(description)}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if start is not None and end is not None:
            changes |= await self._times(context, start, end, whole_days)
        elif start is not None or end is not None:
            raise ToolError("To change the time, give both start and end.")
        if invite or uninvite:
            leaving = {guest["email"].lower() for guest in guests(uninvite or [])}
            everybody = [*event.get("attendees", []), *guests(invite or [])]
            by_address = {guest.get("email", "").lower(): guest for guest in reversed(everybody)}
            changes["attendees"] = [guest for email, guest in reversed(by_address.items()) if email not in leaving]
        if not changes:
            raise ToolError("There is nothing to change: give at least one new value.")
        return changes

    async def _times(
        self, context: TurnContext, start: datetime, end: datetime, whole_days: bool
    ) -> dict[str, dict[str, str]]:
        if (start.tzinfo is None) != (end.tzinfo is None):
            raise ToolError("Give both start and end with a time zone, or both without.")
        if whole_days:
            if end.date() < start.date():
                raise ToolError(END_FIRST)
            # For Google, the end of such an event is the day after its last day.
            return {"start": {"date": str(start.date())}, "end": {"date": str(end.date() + timedelta(days=1))}}
        if end <= start:
            raise ToolError(END_FIRST)
        if start.tzinfo is not None:
            return {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}}
        page = await self.execute(
            context, lambda calendar: calendar.events().list(calendarId="primary", maxResults=1), scope=READ
        )
        if not page.get("timeZone"):
            raise ToolError("The calendar has no time zone: give start and end with a time zone.")
        zone = {"timeZone": page["timeZone"]}
        return {"start": {"dateTime": start.isoformat(), **zone}, "end": {"dateTime": end.isoformat(), **zone}}


def _checked_text(text: str) -> str:
    if len(text) > MOST_DESCRIPTION_CHARACTERS:
        raise ToolError(f"The text has {len(text)} characters, but only {MOST_DESCRIPTION_CHARACTERS} are allowed.")
    return text


def _busy(calendar: dict[str, Any]) -> list[Busy] | str:
    if calendar.get("errors"):
        return "The user cannot see this calendar."
    return [{"start": busy["start"], "end": busy["end"]} for busy in calendar.get("busy", [])]


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
