"""The state of one request of ChatKit."""

import asyncio
from contextlib import ExitStack

from interfaces.chatkit.parse import Person


class RequestState:
    """The state of one request while it is answered. ChatKit calls it the context.

    Args:
        base_url: the public address of the gateway, without a slash at the end.
    """

    def __init__(self, person: Person, base_url: str) -> None:
        self.person = person
        self.base_url = base_url
        self.updates: asyncio.Queue[str | None] | None = None
        self.known: set[str] = set()  # the ids of the transcript's entries that the page has
        self.stack = ExitStack()  # holds the subscription to updates
        self.is_refused = False  # whether the message of the request is not answered
        self.new_thread = ""  # the id of the thread that the request creates
