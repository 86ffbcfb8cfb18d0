"""Strings that nobody could know by chance, planted to see where they come out again."""

import gc
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

PREFIX = "canary"
_MARK = re.compile(rf"{PREFIX}-(?P<kind>[cdi])-(?P<person>\d\d)-(?P<scene>\d{{3}})-[0-9a-f]{{12}}")
MOST_OBJECTS = 100_000  # that are looked at for marks in one result


class Kind(StrEnum):
    #: A credential.
    CREDENTIAL = "c"
    #: What the person wrote.
    DATA = "d"
    #: Who the person is.
    IDENTITY = "i"


@dataclass(frozen=True, slots=True)
class Mark:
    """A planted string, read back.

    Args:
        person: the number of the person it was planted for.
        scene: the number of the scene: of the tool that was called.
    """

    text: str
    kind: Kind
    person: int
    scene: int


class Marks:
    """Makes marks for one hunt, and tells them from those that an earlier one has left behind."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    def make(self, kind: Kind, person: int, scene: int) -> str:
        text = f"{PREFIX}-{kind}-{person:02}-{scene:03}-{secrets.token_hex(6)}"
        self._made.add(text)
        return text

    def __contains__(self, mark: "Mark") -> bool:
        return mark.text in self._made


def marks_in_text(text: str | bytes) -> set[Mark]:
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return {
        Mark(found[0], Kind(found["kind"]), int(found["person"]), int(found["scene"])) for found in _MARK.finditer(text)
    }


def is_marked(value: Any) -> bool:
    """Whether a value is a string with a mark in it; quick, for it is asked of every string there is."""
    kind = type(value)
    if kind is str or (isinstance(value, str)):
        return PREFIX in value and _MARK.search(value) is not None
    if kind is bytes or kind is bytearray:
        return PREFIX.encode() in value and bool(marks_in_text(bytes(value)))
    return False


def find_marks(*roots: Any) -> set[Mark]:
    """The marks in whatever hangs on objects: containers, attributes, closures, the causes of an exception."""
    seen: set[int] = set()
    pending, found = list(roots), set[Mark]()
    while pending and len(seen) < MOST_OBJECTS:
        value = pending.pop()
        if is_marked(value):
            found |= marks_in_text(value)
        if id(value) in seen or isinstance(value, (str, bytes, type, ModuleType, BuiltinFunctionType, FrameType)):
            continue
        seen.add(id(value))
        pending += _parts(value)
    return found


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, BaseException):  # not the traceback, whose frames are the turn's own
        return [value.args, value.__dict__, value.__cause__, value.__context__]
    if isinstance(value, FunctionType):
        return function_parts(value)
    return gc.get_referents(value)


def function_parts(function: FunctionType) -> Sequence[Any]:
    """What a function holds; not its globals, which are its module's."""
    return [function.__closure__, function.__defaults__, function.__kwdefaults__, function.__dict__]
