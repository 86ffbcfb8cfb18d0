"""Join rendered lines into the parts of an answer, each of which is complete."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol


@dataclass(slots=True)
class Line:
    """A rendered line of an answer, or several lines that stay together in one part.

    Args:
        prefix: the marks of the lists that it is in.
        gap: whether an empty line comes before it.
        continues: whether it is the rest of the line before it, which was too long for a part.
    """

    text: str
    prefix: str = ""
    quoted: bool = False
    gap: bool = False
    continues: bool = False


class Marks(Protocol):
    """How a platform marks quotes and counts characters."""

    def quote(self, text: str) -> str: ...
    def size(self, text: str) -> int: ...


def joined(marks: Marks, limit: int, lines: Iterable[Line]) -> list[str]:
    """Return as few parts as the limit allows. None is empty."""
    parts: list[list[Line]] = [[]]
    taken = 0
    for line in lines:
        whole = line.prefix + line.text
        size = marks.size(marks.quote(whole) if line.quoted else whole)
        if parts[-1] and taken + 2 + size > limit:
            parts.append([])
            taken = 0
        taken += size + 2 if parts[-1] else size
        parts[-1].append(line)
    texts = ("".join(_texts(marks, part)).lstrip("\n").rstrip() for part in parts)
    return [text for text in texts if text]


def _texts(marks: Marks, lines: list[Line]) -> Iterator[str]:
    """Yield the texts of lines. Neighbouring lines of a block are one text if all or none of them are quoted."""
    for (_, quoted), group in groupby(_numbered(lines), key=lambda numbered: numbered[0]):
        inner = [line for _, line in group]
        first, *others = inner
        text = first.prefix + first.text
        text += "".join(line.text if line.continues else f"\n{line.prefix}{line.text}" for line in others)
        between = "" if first is lines[0] else "\n\n" if first.gap else "\n"
        yield between + (marks.quote(text) if quoted else text)


def _numbered(lines: list[Line]) -> Iterator[tuple[tuple[int, bool], Line]]:
    """Yield each line with the number of its block, and whether it is quoted."""
    number = 0
    for line in lines:
        number += line.gap
        yield (number, line.quoted), line
