"""Keep what a message referred to apart from what the person said."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.attachments.prompt import Prompt
from gateway.runs.items import Role, SessionItem


def with_quoted(items: Sequence[SessionItem], prompt: Prompt) -> list[SessionItem]:
    """Return the items of a run, with the quotation of its prompt as an item of its own.

    So the item of the message has the person's own words, and no message that was not written by them is stored or
    read as theirs.
    """
    if not prompt.quotation:
        return list(items)
    quoted = SessionItem(Role.QUOTED, prompt.quotation, data=prompt.quoted_until)
    own = (_without(prompt.quotation, item) for item in items)
    return [quoted, *(item for item in own if item is not None)]


def _without(quotation: str, item: SessionItem) -> SessionItem | None:
    """Return an item without a quotation, as text alone; `None` if nothing else is in it."""
    if item.role is not Role.USER or not item.text.startswith(quotation):
        return item
    text = item.text.removeprefix(quotation).lstrip("\n")
    return replace(item, text=text, engine="", data="") if text else None
