"""Read Slack's reports of edits and deletions.

https://docs.slack.dev/reference/events/message/message_changed and …/message_deleted
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.channels import MalformedEventError
from interfaces.slack.parse import Body, is_message

EDIT, DELETION = "message_changed", "message_deleted"
TOMBSTONE = "tombstone"  # the subtype of a deleted message that has replies


def is_edit(body: Body) -> bool:
    """Return whether an event says that the author edited a message. Link previews come as the same event."""
    if not _is(body, EDIT) or is_deletion(body):
        return False
    message = _message(body)
    editor = (message.get("edited") or {}).get("user")
    return editor is not None and editor == message.get("user")


def is_deletion(body: Body) -> bool:
    """Return whether an event says that a message was deleted."""
    return _is(body, DELETION) or (_is(body, EDIT) and _message(body).get("subtype") == TOMBSTONE)


def as_written(body: Body) -> Body:
    """Turn the event of an edit into the event of the edited message. Return any other event unchanged."""
    return _with(body, _message(body)) if _is(body, EDIT) else body


def as_it_was(body: Body) -> Body:
    """Turn the event of a deletion into the event of the deleted message, which may have nothing but its id."""
    event = body["event"]
    gone = {"ts": event.get("deleted_ts") or _message(body).get("ts")}
    return _with(body, {**(event.get("previous_message") or {}), **gone})


def revision(body: Body) -> int:
    """Return a number that grows with each edit: the time of the event, in microseconds.

    Raises:
        MalformedEventError: if the event has no such time.
    """
    time = str(body["event"].get("ts"))
    if not re.fullmatch(r"\d{1,12}\.\d{6}", time):
        raise MalformedEventError(f"ts of a Slack event is not a time: {time[:40]!r}")
    return int(time.replace(".", ""))


def _is(body: Body, subtype: str) -> bool:
    return is_message(body) and body["event"].get("subtype") == subtype


def _message(body: Body) -> Mapping[str, Any]:
    return body["event"].get("message") or {}


def _with(body: Body, message: Mapping[str, Any]) -> Body:
    event = body["event"]
    where = {name: event[name] for name in ("channel", "channel_type") if name in event}
    fields = {name: value for name, value in message.items() if name not in ("edited", "hidden")}
    if fields.get("thread_ts") == fields.get("ts"):  # the message has replies by now
        fields.pop("thread_ts", None)
    return {**body, "event": {**fields, "type": "message", **where}}
