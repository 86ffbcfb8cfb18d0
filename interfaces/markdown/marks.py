"""Render formats as marks around the text."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

from markdown_it.common.utils import isPunctChar

from interfaces.markdown.emphasis import is_wide
from interfaces.markdown.renderer import Renderer
from interfaces.markdown.spans import Span

ZERO_WIDTH_SPACE = "\u200b"
MARKS = {"bold": "*", "italic": "_", "strikethrough": "~"}
CODE = "code"

_FENCE = re.compile(r"``(?=`)")


class MarkRenderer(Renderer):
    """Renders formats as marks around the text, as Slack and WhatsApp read them: *bold*, _italic_, `code`.

    These platforms recognize a mark only at the edge of a word, and have no escape for it. Where the mark would be
    visible, the text loses its format.
    """

    joiner: ClassVar[str] = ""
    """An invisible character that makes an edge of a word, for marks inside words; empty if the platform has none."""

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

    def unfenced(self, text: str) -> str:
        return _FENCE.sub(f"``{ZERO_WIDTH_SPACE}", text)

    def prepared(self, line: list[Span]) -> list[Span]:
        if not any(span.formats or span.code for span in line):
            return line
        line = _trimmed(line)
        for name in (*MARKS, CODE):
            line = list(self._marked(line, name))
        return line

    def _marked(self, line: list[Span], name: str) -> Iterator[Span]:
        """Yield the spans of a line, without the format where people would see its mark."""
        groups = [(has, list(group)) for has, group in groupby(line, key=lambda span: _has(span, name))]
        for number, (has, group) in enumerate(groups):
            before = groups[number - 1][1][-1:] if number else []
            after = groups[number + 1][1][:1] if number + 1 < len(groups) else []
            opens = not before or _is_edge(before[0].text[-1])
            closes = not after or _is_edge(after[0].text[0])
            if not has or (opens and closes and not _contains_mark(group, name)):
                yield from group
            elif _contains_mark(group, name) or not self.joiner:
                yield from (_without(span, name) for span in group)
            else:
                yield from () if opens else [Span(self.joiner, before[0].formats & group[0].formats)]
                yield from group
                yield from () if closes else [Span(self.joiner, after[0].formats & group[-1].formats)]


def _trimmed(line: list[Span]) -> list[Span]:
    """Return spans without formats on white space at the edges of formatted text: no mark may stand beside it."""
    pieces: list[Span] = []
    for span in line:
        if span.formats and not span.address:
            core = span.text.strip()
            before, _, after = span.text.partition(core) if core else (span.text, "", "")
            pieces += [replace(span, text=text) for text in (before, core, after) if text]
        elif span.text:
            pieces.append(span)
    for order in (range(len(pieces)), reversed(range(len(pieces)))):
        formats = frozenset[str]()
        for number in order:
            if pieces[number].text.isspace():
                pieces[number] = replace(pieces[number], formats=formats & pieces[number].formats)
            else:
                formats = pieces[number].formats
    return pieces


def _is_edge(character: str) -> bool:
    """Return whether a character makes an edge of a word, as far as the platforms' rules are known."""
    if character.isspace() or character == ZERO_WIDTH_SPACE:
        return True
    return isPunctChar(character) and not is_wide(character) and character not in "*_~`"


def _contains_mark(group: list[Span], name: str) -> bool:
    """Return whether spans contain the mark of a format as text."""
    mark = MARKS.get(name, "`")
    return any(mark in span.text or mark in span.address for span in group)


def _has(span: Span, name: str) -> bool:
    return span.code if name == CODE else name in span.formats


def _without(span: Span, name: str) -> Span:
    return replace(span, code=False) if name == CODE else replace(span, formats=span.formats - {name})
