"""Store quoted messages separately from the person's own message."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.attachments.prompt import Prompt
from gateway.runs.items import Role, SessionItem


def with_quoted(items: Sequence[SessionItem], prompt: Prompt) -> list[SessionItem]:
    """Return the items of a run, with the quotation of its prompt as a separate item.

    The item of the message then has only the person's own words: messages of others are not stored or read as theirs.
    """
    if not prompt.quotation:
        return list(items)
    quoted = SessionItem(Role.QUOTED, prompt.quotation, data=prompt.quoted_until)
    own = (_without(prompt.quotation, item) for item in items)
    return [quoted, *(item for item in own if item is not None)]


def _without(quotation: str, item: SessionItem) -> SessionItem | None:
    """Return an item without the quotation, as plain text; `None` if nothing is left."""
    if item.role is not Role.USER or not item.text.startswith(quotation):
        return item
    text = item.text.removeprefix(quotation).lstrip("\n")
    return replace(item, text=text, engine="", data="") if text else None
