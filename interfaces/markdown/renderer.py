"""Render markdown, parsed to a tree, as the text of a platform."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

from markdown_it.tree import SyntaxTreeNode

from interfaces.markdown import tables
from interfaces.markdown.parser import Parser, TooComplexError, parse
from interfaces.markdown.parts import Line, joined
from interfaces.markdown.spans import Span, lines, plain, spans, words
from toolkits.text import storable

INDENT = "    "
# Units for the marks of the lists around a line: at most nine nested lists are parsed, with marks like "999999999. ".
MARGIN = 128
MOST_ESCAPED = 6  # units of an escaped character
PHONE_WIDTH = 35  # characters of a monospaced font in a line

_LANGUAGE = re.compile(r"[\w+#.-]{1,32}")
_BOLD = frozenset({"bold"})

_parser = Parser()

log = logging.getLogger(__name__)


class Renderer(ABC):
    """Renders markdown as the text of a platform, in parts that keep its limit.

    A part never ends inside a link, a row of a table or inline code, unless it is longer than a part. Where a part ends
    in other formatted text, a quote or a block of code, the next part begins with the same format.

    Args:
        limit: the greatest length of a part, as `size` counts it.
    """

    table_width: ClassVar[int] = PHONE_WIDTH
    """The greatest width, in characters, of a table shown as aligned text. A wider table becomes a list of its rows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    @abstractmethod
    def escape(self, text: str) -> str: ...
    @abstractmethod
    def bold(self, text: str) -> str: ...
    @abstractmethod
    def italic(self, text: str) -> str: ...
    @abstractmethod
    def strikethrough(self, text: str) -> str: ...
    @abstractmethod
    def code(self, text: str) -> str: ...
    @abstractmethod
    def code_block(self, text: str, language: str) -> str: ...
    @abstractmethod
    def link(self, text: str, address: str) -> str: ...
    @abstractmethod
    def quote(self, text: str) -> str: ...

    def size(self, text: str) -> int:
        """Return the length of a rendered text as the platform counts it: by default in UTF-16 code units."""
        return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2

    def prepared(self, line: list[Span]) -> list[Span]:
        """Return the spans of a line as the platform can show them."""
        return line

    def unfenced(self, text: str) -> str:
        """Return a text in which nothing begins or ends a block of code."""
        return text

    def render(self, markdown: str) -> list[str]:
        """Return the parts of a text. None is empty, and none is over the limit.

        Markdown that is too complex or fails to render is returned as plain text.
        """
        markdown = storable(markdown)
        try:
            return joined(self, self._limit, self._document(SyntaxTreeNode(parse(_parser, markdown))))
        except TooComplexError as error:
            log.warning("a text of %s characters is shown as plain text: %s", len(markdown), error)
        except Exception:  # otherwise the conversation would wait for a text that never renders
            log.exception("a text of %s characters could not be rendered and is shown as plain text", len(markdown))
        return joined(self, self._limit, self._plain(markdown))

    def _document(self, root: SyntaxTreeNode) -> Iterator[Line]:
        for block in root.children:
            for number, line in enumerate(self._block(block, quoted=False)):
                line.gap = number == 0
                yield line

    def _plain(self, text: str) -> Iterator[Line]:
        """Yield a text without formats. Short lines are joined."""
        room = (self._limit - MARGIN) // MOST_ESCAPED
        together: list[str] = []
        taken = 0
        for row in text.splitlines():
            if together and taken + len(row) > room:
                yield Line(self.escape("\n".join(together)))
                together, taken = [], 0
            if len(row) > room:
                yield from self._fit([Span(row)], quoted=False)
            else:
                together.append(row)
                taken += len(row) + 1
        if together:
            yield Line(self.escape("\n".join(together)))

    def _blocks(self, parent: SyntaxTreeNode, quoted: bool) -> Iterator[Line]:
        for node in parent.children:
            yield from self._block(node, quoted)

    def _block(self, node: SyntaxTreeNode, quoted: bool) -> Iterator[Line]:
        """Yield the lines of a block. Each fits into a part together with the marks of the lists around it.

        Args:
            quoted: whether the block is in a quote. No platform nests quotes: an inner one becomes part of it.
        """
        match node.type:
            case "heading":
                yield from self._text(spans(node.children, _BOLD), quoted)
            case "paragraph":
                yield from self._text(spans(node.children), quoted)
            case "fence" | "code_block":
                language = node.info.split(" ")[0]
                known = language if _LANGUAGE.fullmatch(language) else ""
                yield from self._code(node.content.rstrip("\n").split("\n"), known, quoted)
            case "table":
                yield from self._table(tables.rows(node), quoted)
            case "bullet_list" | "ordered_list":
                yield from self._list(node, quoted)
            case "blockquote":
                yield from self._blocks(node, quoted=True)
            case "hr":
                yield Line("———", quoted=quoted)
            case _:
                yield from self._text([Span(node.content)], quoted)

    def _list(self, node: SyntaxTreeNode, quoted: bool) -> Iterator[Line]:
        first = int(node.attrs.get("start", 1))
        for number, item in enumerate(node.children, start=first):
            mark = f"{number}. " if node.type == "ordered_list" else "" if item.meta.get("task") else "• "
            for line in self._blocks(item, quoted):
                line.prefix = mark + line.prefix
                mark = INDENT
                yield line

    def _table(self, rows: list[tables.Row], quoted: bool) -> Iterator[Line]:
        if (aligned := tables.aligned(rows, self.table_width)) is not None:
            yield from self._code(aligned, "", quoted)
            return
        for row in tables.listed([[list(self._unfenced(cell)) for cell in row] for row in rows]):
            whole = f"\n{INDENT}".join(map(self._rendered, row))
            if self.size(self.quote(whole)) <= self._limit - MARGIN:
                yield Line(whole, "• ", quoted)
                continue
            mark = "• "
            for line in (line for cell in row for line in self._fit(cell, quoted)):
                line.prefix, mark = mark, INDENT
                yield line

    def _code(self, text: Sequence[str], language: str, quoted: bool) -> Iterator[Line]:
        if not any(map(str.strip, text)):
            return
        mark = self.size(self.quote("")) if quoted else 0
        room = (
            self._limit - MARGIN - self.size(self.code_block("", language)) - 3 * mark
        )  # three: the fence has lines, too
        chunk: list[str] = []
        taken = 0
        for line in map(self.unfenced, text):
            for piece, size in _cut(line, room - mark - 1, lambda code: self.size(self.escape(code))):
                added = size + mark + 1
                if taken + added > room:
                    yield Line(self.code_block("\n".join(chunk), language), quoted=quoted)
                    chunk, taken = [], 0
                chunk.append(piece)
                taken += added
        yield Line(self.code_block("\n".join(chunk), language), quoted=quoted)

    def _text(self, found: Iterable[Span], quoted: bool) -> Iterator[Line]:
        for line in lines(self._unfenced(found)):
            if plain(line).strip():
                yield from self._fit(line, quoted)

    def _unfenced(self, found: Iterable[Span]) -> Iterator[Span]:
        return (replace(span, text=self.unfenced(span.text)) if "```" in span.text else span for span in found)

    def _fit(self, line: list[Span], quoted: bool) -> Iterator[Line]:
        """Yield the spans of a line as lines that fit into a part."""
        room = self._limit - MARGIN - self.size(self.quote(""))
        whole = self._rendered(line)
        if self.size(whole) <= room:
            yield Line(whole, quoted=quoted)
            return
        fitting: list[Span] = []
        taken, continues = 0, False
        for span, size in self._pieces(line, room):
            if taken + size > room:
                yield Line(self._rendered(fitting), quoted=quoted, continues=continues)
                fitting, taken, continues = [], 0, True
            fitting.append(span)
            taken += size
        yield Line(self._rendered(fitting), quoted=quoted, continues=continues)

    def _pieces(self, line: list[Span], room: int) -> Iterator[tuple[Span, int]]:
        """Yield words, code and links, each with its greatest size. A longer one becomes pieces of plain text."""
        for span in words(line):
            size = self._greatest_size(span)
            if size <= room:
                yield span, size
                continue
            text = f"{span.text} ({span.address})" if span.address else span.text
            for word in words([Span(text)]):
                for piece, size in _cut(word.text, room, lambda text: self.size(self.escape(text))):
                    yield Span(piece), size

    def _greatest_size(self, span: Span) -> int:
        """Return the greatest size of a span, by itself or among others."""
        if not (span.formats or span.code):
            return self.size(self._leaf(span))
        return self.size(self._styled([span])) + 2  # for a joiner on each side

    def _rendered(self, line: list[Span]) -> str:
        return self._styled(self.prepared(line))

    def _styled(self, found: Sequence[Span], formats: tuple[str, ...] = ("bold", "italic", "strikethrough")) -> str:
        if not any(span.formats for span in found):
            return "".join(map(self._leaf, found))
        name, *others = formats
        apply: Callable[[str], str] = getattr(self, name)
        text = ""
        for has, group in groupby(found, key=lambda span: name in span.formats):
            inner = self._styled([replace(span, formats=span.formats - {name}) for span in group], tuple(others))
            text += apply(inner) if has and inner.strip() else inner
        return text

    def _leaf(self, span: Span) -> str:
        if span.address:
            return self.link(self.escape(span.text), span.address)
        return self.code(span.text) if span.code else self.escape(span.text)


def _cut(text: str, room: int, size: Callable[[str], int]) -> Iterator[tuple[str, int]]:
    """Yield a text, in pieces if it does not fit into the room, each with its size."""
    if len(text) <= room and (whole := size(text)) <= room:
        yield text, whole
        return
    length = max(room // MOST_ESCAPED, 1)
    for start in range(0, len(text), length):
        piece = text[start : start + length]
        yield piece, size(piece)
