"""Render answers for a channel, with a fallback for texts that its renderer cannot handle."""

import asyncio
import logging

from gateway.channels.presenter import Presenter
from gateway.channels.sentences import NOT_RENDERED

MAX_ON_LOOP = 2000  # characters; rendering them takes a few milliseconds

log = logging.getLogger(__name__)


async def rendered(presenter: Presenter, markdown: str) -> list[str]:
    """Return the parts in which a channel sends a text. A long text is rendered in a thread, off the event loop.

    A text that the presenter cannot render is replaced by a sentence that says so: a retry would fail as well, and
    hold up the conversation.
    """
    if len(markdown) <= MAX_ON_LOOP:
        return rendered_at_once(presenter, markdown)
    return await asyncio.to_thread(rendered_at_once, presenter, markdown)


def rendered_at_once(presenter: Presenter, markdown: str) -> list[str]:
    """Do the same as `rendered`, but in the caller's thread, for texts that are made within a transaction."""
    try:
        return presenter.parts(markdown)
    except Exception:  # whatever a channel raises
        log.exception(
            "%s cannot render a text of %s characters; a sentence in the conversation says so instead",
            type(presenter).__name__,
            len(markdown),
        )
        return presenter.parts(NOT_RENDERED)
