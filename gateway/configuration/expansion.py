"""`${NAME}` in values, expanded from the request or from the environment."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.request_context import PERSONAL, get_request_context
from oauth import SettingError

REQUEST_NAMES = ("REFERENCE", "CHANNEL", "TENANT", "USER_ID", "CONVERSATION_ID", "SESSION_ID", *sorted(PERSONAL))
"""The names that the gateway sets for each request: see `gateway.request_context`."""

_FORMER_NAMES = {"REQUEST_ID": "REFERENCE"}  # of files that were written for earlier versions

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_]\w*)(?::(?P<default>[^}]*))?\}|(?P<unended>\$\{)")


_SHELL_OPERATORS = ("-", "=", "?")  # of POSIX: ${NAME:-default}
_SHELL = "${{{0}:{1}…}} is the shell's syntax: here the default follows the colon, so write ${{{0}:{2}}}."
_NESTED = (
    "${{{0}:…}} has a ${{…}} in its default, which is not expanded: write ${{{0}}} and set {0}, or ${{{0}:some text}}."
)
_KEY = "{0} is not expanded in a key: write the key in full, or move the variable part into the value."


@dataclass(frozen=True, slots=True)
class Reference:
    """A `${NAME}` in a text, which begins at index `start`."""

    name: str
    default: str | None
    start: int


class OpenText(str):
    """A text with `${NAME}`s that only a request can fill in. As a string, it is the text as written."""

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


def mistakes(text: str) -> Iterator[tuple[int, str]]:
    """Yield each `${` in a text that does not mean what it seems to: its index, and what to write instead."""
    for found in _REFERENCE.finditer(text):
        name, default = found["name"], found["default"] or ""
        if found["unended"]:
            yield found.start(), "${ is not followed by a name and } here: write ${NAME}, or $${ for a literal ${."
        elif default[:1] in _SHELL_OPERATORS:
            yield found.start(), _SHELL.format(name, default[0], default[1:] or "default")
        elif "${" in default:
            yield found.start(), _NESTED.format(name)


def in_key(key: str) -> str | None:
    """Return what to write instead of a `${` in a key; `None` if there is none."""
    found = next((found for found in _REFERENCE.finditer(key) if found[0] != "$${"), None)
    return _KEY.format(found[0]) if found is not None else None


def fill(text: str, value_of: Callable[[Reference], str | None]) -> str:
    """Return a text with its names replaced by values; an `OpenText` if some have no value yet.

    Args:
        value_of: returns the value of a name, or `None` if only a request has it.
    """
    parts: list[str | Reference] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        if found["name"] is None:
            parts.append("${")
            continue
        name = _FORMER_NAMES.get(found["name"], found["name"])
        reference = Reference(name, found["default"], found.start())
        value = value_of(reference)
        parts.append(reference if value is None else value)
    parts.append(text[end:])
    if any(isinstance(part, Reference) for part in parts):
        return OpenText(tuple(parts))
    return "".join(str(part) for part in parts)


def expanded(value: Any) -> Any:
    """Return a value with its names replaced by the values of the current request; unchanged outside a request.

    Raises:
        SettingError: if the request has no value for one of the names.
    """
    if isinstance(value, OpenText):
        return _in_request(value)
    if isinstance(value, Mapping):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return value


def is_open(value: Any) -> bool:
    """Return whether a value, or a part of it, contains names that only a request can fill in."""
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
        if value is None and part.name not in REQUEST_NAMES:  # those are set only by the gateway
            value = os.environ.get(part.name)
        value = part.default if value is None else value
        if value is None:
            raise SettingError(
                f"${{{part.name}}} is used in {str(text)!r}, but this request has no such value: give it a default, "
                f"as in ${{{part.name}:default}}."
            )
        parts.append(str(value))
    return "".join(parts)
