"""Marks: random strings that stand for credentials and data, planted to see where they turn up again."""

import base64
import builtins
import gc
import io
import re
import secrets
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

PREFIX = "canary"
_MARK = re.compile(rf"{PREFIX}-(?P<kind>[cdi])-(?P<person>\d\d)-(?P<scene>\d{{3}})-[0-9a-f]{{12}}")
_MARK_LENGTH = 28
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+")
MOST_OBJECTS = 100_000  # objects that are searched in one result
TEXTS = (str, bytes, bytearray, memoryview, array)  # types that may contain a mark
# The types for which `parts` differs from `gc.get_referents`.
NOT_WHOLLY_COLLECTED = (FunctionType, io.StringIO, io.BytesIO)


class Kind(StrEnum):
    #: A credential.
    CREDENTIAL = "c"
    #: What the person wrote.
    DATA = "d"
    #: Who the person is.
    IDENTITY = "i"


@dataclass(frozen=True, slots=True)
class Mark:
    """A planted string that was found again.

    Args:
        person: the number of the person that it was planted for.
        scene: the number of the scene in which it was planted.
    """

    text: str
    kind: Kind
    person: int
    scene: int


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mark that is still in memory.

    Args:
        path: how it can be reached from a lasting root.
        places: the mappings on that path: the id of each, and the key on the path as text, with its marks.
        is_key: whether it is a mapping's key, which only somebody who knows it already can look up.
        rows: the texts beside it in each object around it, and the whole string that contains it.
    """

    mark: Mark
    path: str
    places: tuple[tuple[int, str], ...]
    is_key: bool
    rows: tuple[str, ...]

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.places]


class Marks:
    """The marks of one check. Marks that an earlier check left behind do not count."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    def make(self, kind: Kind, person: int, scene: int) -> str:
        text = f"{PREFIX}-{kind}-{person:02}-{scene:03}-{secrets.token_hex(6)}"
        self._made.add(text)
        return text

    def __contains__(self, mark: "Mark") -> bool:
        return mark.text in self._made


def _base64_of_prefix(shift: int) -> tuple[str, int]:
    """Return the part of the prefix's base64 that does not depend on the `shift` bytes before it, and its index."""
    first, last = -(-shift * 8 // 6), (shift + len(PREFIX)) * 8 // 6
    return base64.b64encode(bytes(shift) + PREFIX.encode()).decode()[first:last], first


_IN_BASE64 = tuple(_base64_of_prefix(shift) for shift in range(3))
_IN_HEX = PREFIX.encode().hex()
_TRACES = re.compile("|".join(map(re.escape, (PREFIX, _IN_HEX, _IN_HEX.upper(), *(trace for trace, _ in _IN_BASE64)))))


def marks_in_text(text: Any) -> set[Mark]:
    """Return the marks in a string, bytes or an array, in plain text, base64 or hexadecimal."""
    if not isinstance(text, str):
        text = text.tounicode() if isinstance(text, array) and text.typecode == "u" else bytes(text).decode("latin-1")
    return {
        Mark(found[0], Kind(found["kind"]), int(found["person"]), int(found["scene"]))
        for readable in (text, *_decoded(text))
        for found in _MARK.finditer(readable)
    }


def _decoded(text: str) -> Iterator[str]:
    for trace, first in _IN_BASE64:
        for found in re.finditer(re.escape(trace), text):
            encoded = _BASE64.match(text, max(found.start() - first, 0))
            if encoded is not None:
                group = encoded[0].replace("-", "+").replace("_", "/")[: 4 * _MARK_LENGTH]
                yield base64.b64decode(group[: len(group) - (len(group) % 4 == 1)] + "==").decode("latin-1")
    for found in re.finditer(f"{_IN_HEX}[0-9a-f]*", text.lower() if _IN_HEX in text.lower() else ""):
        yield bytes.fromhex(found[0][: 2 * _MARK_LENGTH]).decode("latin-1")


def is_marked(value: Any) -> bool:
    """Return whether a value is text with a mark in it, quickly: it is called for every string in memory."""
    if isinstance(value, str):
        return _TRACES.search(value) is not None and bool(marks_in_text(value))
    return isinstance(value, TEXTS) and bool(marks_in_text(value))


def find_marks(*roots: Any) -> set[Mark]:
    """Return the marks in all that objects refer to: items, attributes, closures, causes of an exception."""
    seen: set[int] = set()
    pending, found = list(roots), set[Mark]()
    while pending and len(seen) < MOST_OBJECTS:
        value = pending.pop()
        if is_marked(value):
            found |= marks_in_text(value)
        if id(value) in seen or isinstance(
            value, (str, bytes, bytearray, array, type, ModuleType, BuiltinFunctionType, FrameType)
        ):
            continue
        seen.add(id(value))
        pending += _parts(value)
    return found


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, BaseException):  # without the traceback, whose frames belong to the turn
        return [value.args, value.__dict__, value.__cause__, value.__context__]
    return parts(value)


def parts(value: Any) -> Iterable[Any]:
    """Return the objects that an object refers to, even those that the garbage collector does not know of."""
    if isinstance(value, FunctionType):  # without its globals, which are its module's
        left_out = (id(value.__globals__), id(vars(builtins)))
        return [part for part in gc.get_referents(value) if id(part) not in left_out]
    if isinstance(value, (io.StringIO, io.BytesIO)) and not value.closed:
        return [value.getvalue(), *gc.get_referents(value)]
    return gc.get_referents(value)
