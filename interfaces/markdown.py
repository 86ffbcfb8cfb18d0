"""Render markdown, parsed to a tree, as the text of a platform."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

from markdown_it.tree import SyntaxTreeNode

from interfaces.markdown_parser import Parser, TooComplexError, is_allowed, parse
from toolkits.text import storable

INDENT = "    "
MARGIN = (
    128  # units that the marks of lists around a line may take: nine lists, the most that are parsed, of "999999999. "
)
MOST_PADDING = 40  # characters: a longer cell of a table does not widen its column

_LANGUAGE = re.compile(r"[\w+#.-]{1,32}")

_parser = Parser()

log = logging.getLogger(__name__)


class Renderer(ABC):
    """Renders markdown as the text of a platform, in parts that keep its limit.

    A part never ends inside formatted text: text that does not fit goes to the next part, or loses its format if it is
    longer than a part.

    Args:
        limit: the length of a part, in UTF-16 code units.
    """

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

    def render(self, markdown: str) -> list[str]:
        """Return the parts of a text. None is empty, and none is over the limit.

        Markdown that is too complex or fails to render is returned as plain text.
        """
        markdown = storable(markdown)
        try:
            return self._join(self._blocks(SyntaxTreeNode(parse(_parser, markdown))))
        except TooComplexError as error:
            log.warning("a text of %s characters is shown as plain text: %s", len(markdown), error)
        except Exception:  # otherwise the conversation would wait for a text that never renders
            log.exception("a text of %s characters could not be rendered and is shown as plain text", len(markdown))
        return self._join([[*self._fit([], _split(markdown), quoted=False)]])

    def _join(self, blocks: Iterable[Iterable[str]]) -> list[str]:
        """Join the lines of blocks to parts within the limit, with an empty line between two blocks."""
        parts: list[str] = []
        part: list[str] = []
        size = 0
        for block in blocks:
            for number, line in enumerate(block):
                gap = "\n" if number else "\n\n"
                added = _size(line)
                if size and size + len(gap) + added > self._limit:
                    parts.append("".join(part))
                    part, size = [], 0
                if size:
                    part.append(gap)
                    size += len(gap)
                part.append(line)
                size += added
        return [part for part in [*parts, "".join(part)] if part.strip()]

    def _blocks(self, parent: SyntaxTreeNode, quoted: bool = False) -> Iterator[list[str]]:
        """Yield each block as lines that fit into a part; if it is `quoted`, with the marks of a quote around them."""
        for node in parent.children:
            yield list(self._block(node, quoted))

    def _block(self, node: SyntaxTreeNode, quoted: bool) -> Iterator[str]:
        match node.type:
            case "heading" if not _plain(node).strip():
                return
            case "heading":
                yield from self._fit([self.bold(self._inline(node.children))], self._words(node), quoted)
            case "paragraph":
                yield from self._fit(self._atoms(node.children[0]), self._words(node), quoted)
            case "fence" | "code_block":
                language = node.info.split(" ")[0]
                known = language if _LANGUAGE.fullmatch(language) else ""
                yield from self._code_blocks(node.content.rstrip("\n"), known, quoted)
            case "table":
                yield from self._code_blocks("\n".join(_table(node)), "", quoted)
            case "bullet_list" | "ordered_list":
                yield from self._list(node, quoted)
            case "blockquote":  # no platform nests them: one in another is part of it
                lines = (line for block in self._blocks(node, quoted=True) for line in block)
                yield from lines if quoted else map(self.quote, lines)
            case "hr":
                yield "———"
            case _:
                yield from self._fit([], self._words(node), quoted)

    def _list(self, node: SyntaxTreeNode, quoted: bool) -> Iterator[str]:
        first = int(node.attrs.get("start", 1))
        for number, item in enumerate(node.children, start=first):
            mark = f"{number}. " if node.type == "ordered_list" else "• "
            for line in (line for block in self._blocks(item, quoted) for line in block):
                yield f"{mark}{line}"
                mark = INDENT

    def _code_blocks(self, text: str, language: str, quoted: bool) -> Iterator[str]:
        room = self._limit - MARGIN
        chunk: list[str] = []

        def size(code: str) -> int:
            return self._size(self.code_block(code, language), quoted)

        empty = taken = size("")
        for line in text.split("\n"):
            for piece in _cut(line, room, size):
                added = size(f"\n{piece}") - empty  # escapes and quotes are added line by line
                if chunk and taken + added > room:
                    yield self.code_block("\n".join(chunk), language)
                    chunk, taken = [], empty
                chunk.append(piece)
                taken += added
        yield self.code_block("\n".join(chunk), language)

    def _fit(self, atoms: list[str], words: list[str], quoted: bool) -> Iterator[str]:
        """Yield atoms, which are never cut, as lines that fit; the plain words instead, if an atom does not fit."""
        room = self._limit - MARGIN
        if not atoms or any(self._size(atom, quoted) > room for atom in atoms):
            atoms = [
                self.escape(piece)
                for word in words
                for piece in _cut(word, room, lambda text: self._size(self.escape(text), quoted))
            ]
        line: list[str] = []
        empty = taken = self._size("", quoted)
        for atom in atoms:
            added = self._size(atom, quoted) - empty
            if line and taken + added > room:
                yield "".join(line).strip()
                line, taken = [], empty
            line.append(atom)
            taken += added
        yield "".join(line).strip()

    def _atoms(self, inline: SyntaxTreeNode) -> list[str]:
        atoms: list[str] = []
        for node in inline.children:
            if node.type == "text":
                atoms += [self.escape(word) for word in _split(node.content)]
            else:
                atoms.append(self._inline([node]))
        return atoms

    def _inline(self, nodes: Iterable[SyntaxTreeNode]) -> str:
        return "".join(map(self._span, nodes))

    def _span(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text":
                return self.escape(node.content)
            case "strong":
                return self.bold(self._inline(node.children))
            case "em":
                return self.italic(self._inline(node.children))
            case "s":
                return self.strikethrough(self._inline(node.children))
            case "code_inline":
                return self.code(node.content)
            case "link":
                return self._linked(self._inline(node.children), str(node.attrs["href"]))
            case "image":
                return self._linked(self.escape(node.content or "image"), str(node.attrs["src"]))
            case "softbreak" | "hardbreak":
                return "\n"
            case _:
                return self._inline(node.children) if node.children else self.escape(node.content)

    def _linked(self, text: str, address: str) -> str:
        """Return a link; plain text for an address that a platform may act on, as Slack does on `!channel`."""
        if is_allowed(address):
            return self.link(text if text.strip() else self.escape(address), address)
        return f"{text} ({self.escape(address)})" if address else text

    def _size(self, text: str, quoted: bool) -> int:
        return _size(self.quote(text) if quoted else text)

    def _words(self, node: SyntaxTreeNode) -> list[str]:
        return _split(_plain(node))


class MarkRenderer(Renderer):
    """Renders formats as marks around the text, as Slack and WhatsApp read them: *bold*, _italic_, `code`."""

    def bold(self, text: str) -> str:
        return f"*{text}*"

    def italic(self, text: str) -> str:
        return f"_{text}_"

    def strikethrough(self, text: str) -> str:
        return f"~{text}~"

    def code(self, text: str) -> str:
        return f"`{self.escape(text)}`"

    def quote(self, text: str) -> str:
        return "\n".join(f"> {line}" for line in text.split("\n"))


def _plain(node: SyntaxTreeNode) -> str:
    """Return the text of a node without its formats."""
    if node.type in ("softbreak", "hardbreak"):
        return "\n"
    if node.children:
        return "".join(map(_plain, node.children))
    return node.content if node.type != "root" else ""


def _table(table: SyntaxTreeNode) -> list[str]:
    """Return a table as lines of plain text with padded columns."""
    rows = [[_plain(cell) for cell in row.children] for section in table.children for row in section.children]
    widths = [min(max(map(len, column)), MOST_PADDING) for column in zip(*rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]


def _split(text: str) -> list[str]:
    """Return the words of a text, each with the white space that follows it."""
    words: list[str] = []
    for piece in text.splitlines(keepends=True):
        words += [f"{word} " for word in piece.split(" ")[:-1]] + [piece.split(" ")[-1]]
    return words


def _size(text: str) -> int:
    """Return the number of UTF-16 code units of a text."""
    return len(text.encode("utf-16-le")) // 2


def _cut(word: str, room: int, size: Callable[[str], int]) -> Iterator[str]:
    """Yield the pieces of a word, each of a size that fits into the room."""
    length = max(room // 8, 1)  # an escaped character has six units at most
    start = 0
    while len(word) - start > room or size(word[start:]) > room:
        yield word[start : start + length]
        start += length
    yield word[start:]
