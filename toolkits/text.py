"""Clean texts that came from outside, so that they can be stored, sent and read."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")


def storable(text: str) -> str:
    """Return a text without the characters that UTF-8 or PostgreSQL cannot store.

    NULs are removed. A pair of surrogates becomes its character; a lone one becomes U+FFFD.
    """
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable_json(value: Any, *, indent: int | None = None) -> str:
    """Return any value as JSON. Texts become `storable`, and values that JSON does not know become their `str`."""
    try:
        return to_json(value, fallback=str, indent=indent).decode()
    except (PydanticSerializationError, UnicodeEncodeError):
        return to_json(storable_value(value), indent=indent).decode()


def storable_value(value: Any) -> Any:
    """Return a value with `storable` texts, and with the `str` of each object that JSON cannot hold."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable_value(key): storable_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [storable_value(inner) for inner in value]
    try:
        to_json(value)
    except (PydanticSerializationError, UnicodeEncodeError):
        return storable(str(value))
    return value


def readable(name: str) -> str:
    """Return a name from code as people read it: `list_events` and `listEvents` become "List events"."""
    words = " ".join(word if word.isupper() else word.lower() for word in _BETWEEN_WORDS.sub(" ", name).split())
    return f"{words[:1].upper()}{words[1:]}" or name
