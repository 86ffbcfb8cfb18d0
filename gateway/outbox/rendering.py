"""Render answers for a channel, whatever its renderer raises."""

import asyncio
import logging

from gateway.channels.presenter import Presenter
from gateway.channels.sentences import NOT_RENDERED

MOST_ON_LOOP = 2000  # characters, which take a few milliseconds

log = logging.getLogger(__name__)


async def rendered(presenter: Presenter, markdown: str) -> list[str]:
    """Return a text as the parts that a channel sends. A long text is rendered in a thread, off the event loop.

    A text that the presenter cannot render is replaced by a sentence that says so. Trying again would fail again, and
    keep the conversation waiting.
    """
    if len(markdown) <= MOST_ON_LOOP:
        return rendered_at_once(presenter, markdown)
    return await asyncio.to_thread(rendered_at_once, presenter, markdown)


def rendered_at_once(presenter: Presenter, markdown: str) -> list[str]:
    """Do the same as `rendered` in the thread of the caller, for a text that a transaction makes."""
    try:
        return presenter.parts(markdown)
    except Exception:  # whatever a channel raises
        log.exception(
            "%s cannot render a text of %s characters; the conversation is told so",
            type(presenter).__name__,
            len(markdown),
        )
        return presenter.parts(NOT_RENDERED)
