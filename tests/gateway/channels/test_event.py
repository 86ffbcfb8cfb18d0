"""The ids and the payload of an event, which are checked when it is made."""

from typing import Any

import pytest
from support.stage import place

from gateway import Conversation
from gateway.channels.event import Change, Event, MalformedEventError, Piece


@pytest.mark.parametrize("hostile", ["e\0", "\ud83d", "", 5, None, "x" * 600], ids=ascii)
def test_every_id_of_an_event_and_its_payload_are_checked(hostile: Any) -> None:
    here = place("dm-alice")
    with pytest.raises(MalformedEventError):
        Event(hostile, here, "{}")
    with pytest.raises(MalformedEventError):
        Event("e1", Conversation("stage", hostile, "dm-alice", False), "{}")
    if hostile is not None:
        with pytest.raises(MalformedEventError):
            Event("e1", here, "{}", hostile)
    for payload in ("\0", "\udfff", None, b"{}"):
        with pytest.raises(MalformedEventError):
            Event("e1", here, payload)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "of_event", [{}, {"author": "u1", "piece": Piece("album", 1)}, {"author": "u1", "change": Change.EDITED}]
)
def test_only_a_whole_new_message_of_a_known_author_stops_a_turn(of_event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="stops a turn"):
        Event("e1", place("dm-alice"), "{}", "m1", stops=True, **of_event)
