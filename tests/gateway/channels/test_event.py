"""The ids and the payload of an event, which are checked when it is made."""

from typing import Any

import pytest
from support.stage import place

from gateway import Conversation
from gateway.channels.event import Event, MalformedEventError


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
