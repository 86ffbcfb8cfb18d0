"""Join rendered lines to the parts of an answer, each complete in itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Line:
    """A line of an answer, or several that stay together, as the platform shows them.

    Args:
        prefix: the marks of the lists that it is in.
        gap: whether an empty line comes before it.
    """

    text: str
    prefix: str = ""
    quoted: bool = False
    gap: bool = False


class Marks(Protocol):
    """How a platform marks quotes, and counts."""

    def quote(self, text: str) -> str: ...
    def size(self, text: str) -> int: ...


def joined(marks: Marks, limit: int, lines: Iterable[Line]) -> list[str]:
    """Return the parts, as few as the limit allows. None is empty."""
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
    texts = ("".join(_texts(marks, part)).strip("\n") for part in parts)
    return [text for text in texts if text.strip()]


def _texts(marks: Marks, lines: list[Line]) -> Iterator[str]:
    """Yield the text of lines; those of a quote together."""
    quote: list[str] = []
    for number, line in enumerate(lines):
        if quote and (line.gap or not line.quoted):
            yield marks.quote("\n".join(quote))
            quote = []
        if not quote:
            yield "" if not number else "\n\n" if line.gap else "\n"
        if line.quoted:
            quote.append(line.prefix + line.text)
        else:
            yield line.prefix + line.text
    if quote:
        yield marks.quote("\n".join(quote))
