"""A verified request of Slack, whichever way it came."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class SlackRequest:
    """A request that certainly comes from Slack.

    Args:
        body: the callback of an event, the form of a slash command, or the payload of an interaction.
        raw: the JSON text of an event's callback, for the inbox.
        headers: the headers that an operator's own listeners see.
    """

    body: dict[str, Any]
    raw: str = ""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)


Handler = Callable[[SlackRequest], Awaitable[Response]]
"""Commits a request, and returns the response. Over Socket Mode, an acknowledgement carries the body of the response.

It has less than three seconds. What the response runs in the background comes after the answer.
"""


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of the three kinds of requests."""

    event: Handler
    command: Handler
    interaction: Handler
