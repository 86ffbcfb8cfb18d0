"""Let the agents of this folder wait for nothing that the tests do not test."""

from typing import TypeVar

from gateway.channels.interface import Interface
from gateway.testing.running import send_at_once
from gateway.timings import Timings

T = TypeVar("T", bound=Interface)

TIMINGS = Timings(clean_up_interval=0.1, shutdown_grace=1.0, cancel_grace=1.0)


def unpaced(channel: T) -> T:
    """Return the channel, which now sends answers without the pace of its platform: tests read faster than people."""
    send_at_once(channel.presenter)
    return channel
