import asyncio
import logging

from gateway.channels.presenter import Presenter
from gateway.channels.sentences import NOT_RENDERED

MOST_ON_LOOP = 2000  # characters: rendering them takes a few milliseconds

log = logging.getLogger(__name__)


async def rendered(presenter: Presenter, markdown: str) -> list[str]:
    """Return a text as the parts that a channel sends, a long one by a thread so that the loop goes on.

    A text that the presenter fails to render is replaced by a sentence that says so: the failure would repeat with
    every try and keep the conversation waiting.
    """
    try:
        if len(markdown) <= MOST_ON_LOOP:
            return presenter.parts(markdown)
        return await asyncio.to_thread(presenter.parts, markdown)
    except Exception:  # whatever a channel raises
        log.exception("%s cannot render a text of %s characters", type(presenter).__name__, len(markdown))
        return presenter.parts(NOT_RENDERED)
