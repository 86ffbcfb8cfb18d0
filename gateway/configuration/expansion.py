"""`${NAME}` in a value: from the request at hand, or from the environment."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.request_context import get_request_context
from oauth import SettingError

REQUEST_NAMES = ("REQUEST_ID", "CHANNEL", "TENANT", "USER_ID", "CONVERSATION_ID", "SESSION_ID")
"""What the gateway sets of each request: see `gateway.request_context`."""

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_]\w*)(?::(?P<default>[^}]*))?\}|(?P<unended>\$\{)")


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a text. `start` is where it begins."""

    name: str
    default: str | None
    start: int


class OpenText(str):
    """A text in which names are left that only a request has. As it stands it is what was written."""

    parts: tuple[str | Reference, ...]

    def __new__(cls, parts: tuple[str | Reference, ...]) -> "OpenText":
        written = "".join(part if isinstance(part, str) else f"${{{part.name}}}" for part in parts)
        made = super().__new__(cls, written)
        made.parts = parts
        return made

    @property
    def names(self) -> list[str]:
        return [part.name for part in self.parts if isinstance(part, Reference)]

    def __deepcopy__(self, memo: dict[int, Any]) -> "OpenText":
        return self


def unended(text: str) -> Iterator[int]:
    """Where a text has a `${` that begins no name."""
    return (found.start() for found in _REFERENCE.finditer(text) if found["unended"])


def fill(text: str, value_of: Callable[[Reference], str | None]) -> str:
    """A text with its names replaced; open where a name has no value yet.

    Args:
        value_of: `None` for a name that stays open.
    """
    parts: list[str | Reference] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        if found["name"] is None:
            parts.append("${")
            continue
        reference = Reference(found["name"], found["default"], found.start())
        value = value_of(reference)
        parts.append(reference if value is None else value)
    parts.append(text[end:])
    if any(isinstance(part, Reference) for part in parts):
        return OpenText(tuple(parts))
    return "".join(str(part) for part in parts)


def expanded(value: Any) -> Any:
    """A value, and what is in it, with the names of the request at hand replaced; as it is where there is no request.

    Raises:
        SettingError: naming one that the request does not have.
    """
    if isinstance(value, OpenText):
        return _in_request(value)
    if isinstance(value, Mapping):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return value


def is_open(value: Any) -> bool:
    """Whether a value, or something in it, waits for a request."""
    if isinstance(value, Mapping):
        return any(map(is_open, value.values()))
    return isinstance(value, OpenText) or (isinstance(value, list) and any(map(is_open, value)))


def _in_request(text: OpenText) -> str:
    values = get_request_context()
    if not values:
        return text
    parts = []
    for part in text.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = values.get(part.name)
        if value is None and part.name not in REQUEST_NAMES:  # which are of the gateway alone
            value = os.environ.get(part.name)
        value = part.default if value is None else value
        if value is None:
            raise SettingError(f"${{{part.name}}} is used in {str(text)!r}, and this request has no such value.")
        parts.append(str(value))
    return "".join(parts)
