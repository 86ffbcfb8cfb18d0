"""Inline markdown as spans of text, each with the set of its formats."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from markdown_it.tree import SyntaxTreeNode

from interfaces.markdown.parser import is_allowed

_FORMATS = {"strong": "bold", "em": "italic", "s": "strikethrough"}
_WORD = re.compile(r"[^ ]+ ?| ")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text in one line.

    Args:
        formats: any of `bold`, `italic` and `strikethrough`.
        code: whether it is code. Code has no other format, because not every platform shows both.
        address: the address of a link, else empty. A link is one span, with the formats that its whole text has.
    """

    text: str
    formats: frozenset[str] = frozenset()
    code: bool = False
    address: str = ""


NEWLINE = Span("\n")


def spans(nodes: Iterable[SyntaxTreeNode], formats: frozenset[str] = frozenset()) -> Iterator[Span]:
    """Yield the spans of inline nodes. A line ends with `NEWLINE`."""
    for node in nodes:
        match node.type:
            case "text":
                yield Span(node.content, formats)
            case "strong" | "em" | "s":
                yield from spans(node.children, formats | {_FORMATS[node.type]})
            case "code_inline":
                yield Span(node.content, code=True)
            case "link":
                yield from _link(list(spans(node.children, formats)), str(node.attrs["href"]))
            case "image":
                yield from _link([Span(node.content or "image", formats)], str(node.attrs["src"]))
            case "softbreak" | "hardbreak":
                yield NEWLINE
            case _:
                yield from spans(node.children, formats) if node.children else [Span(node.content, formats)]


def plain(found: Iterable[Span]) -> str:
    """Return the text of spans, without the addresses of links."""
    return "".join(span.text for span in found)


def lines(found: Iterable[Span]) -> Iterator[list[Span]]:
    """Yield the spans of each line."""
    line: list[Span] = []
    for span in found:
        if span is NEWLINE:
            yield line
            line = []
        else:
            line.append(span)
    yield line


def words(found: Iterable[Span]) -> Iterator[Span]:
    """Yield the words of spans, each with the space that follows it. Code and links stay whole."""
    for span in found:
        if span.code or span.address:
            yield span
        elif span.formats:
            yield from (replace(span, text=word) for word in _WORD.findall(span.text))
        else:
            yield from map(Span, _WORD.findall(span.text))


def _link(label: list[Span], address: str) -> Iterator[Span]:
    """Yield a link, or plain text if its address is not allowed: Slack would act on one like `!channel`."""
    if not is_allowed(address):
        yield from label
        if address:
            yield Span(f" ({address})")
        return
    text = " ".join(plain(label).split()) or address
    formats = frozenset.intersection(*(span.formats for span in label)) if label else frozenset[str]()
    yield Span(text, formats, address=address)
