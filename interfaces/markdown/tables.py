"""Lay out tables for screens as narrow as a phone's."""

from collections.abc import Iterator, Sequence

from markdown_it.tree import SyntaxTreeNode

from interfaces.markdown.emphasis import is_wide
from interfaces.markdown.spans import Span, plain, spans

LONGEST_LABEL = 40  # characters of a header that is repeated in each row
BETWEEN = " | "

Row = list[list[Span]]


def rows(table: SyntaxTreeNode) -> list[Row]:
    """Return the cells of each row, beginning with the row of the headers."""
    return [
        [list(spans(cell.children)) for cell in row.children] for section in table.children for row in section.children
    ]


def aligned(table: Sequence[Row], width: int) -> list[str] | None:
    """Return a table as lines of text with padded columns; `None` if it is wider than `width` or has links."""
    if any(span.address for row in table for cell in row for span in cell):
        return None
    texts = [[plain(cell).strip() for cell in row] for row in table]
    widths = [max(map(columns_of, column)) for column in zip(*texts, strict=True)]
    if sum(widths) + len(BETWEEN) * (len(widths) - 1) > width:
        return None
    lines = [BETWEEN.join(map(_padded, row, widths)).rstrip() for row in texts]
    return [lines[0], "-+-".join("-" * columns for columns in widths), *lines[1:]]


def listed(table: Sequence[Row]) -> Iterator[list[list[Span]]]:
    """Yield the lines of each row, one for each cell with its header.

    Headers that are long or have links are not repeated: they make a separate row, and each row is one line.
    """
    headers = [plain(cell).strip() for cell in table[0]]
    linked = any(span.address for cell in table[0] for span in cell)
    if len(table) == 1 or linked or max(map(len, headers)) > LONGEST_LABEL:
        yield from ([_joined(row)] for row in table if any(map(plain, row)))
        return
    for number, row in enumerate(table[1:]):
        cells = [
            [*_label(header, cell), *cell]
            for header, cell in zip(headers, row, strict=True)
            if plain(cell).strip() or (header and not number)  # the first row has all headers
        ]
        if cells:
            yield cells


def columns_of(text: str) -> int:
    """Return how many columns a text takes in a monospaced font."""
    return len(text) if text.isascii() else sum(2 if is_wide(character) else 1 for character in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns_of(text))


def _label(header: str, cell: list[Span]) -> Iterator[Span]:
    if header:
        yield Span(f"{header}:", frozenset({"bold"}))
        if cell:
            yield Span(" ")


def _joined(row: Row) -> list[Span]:
    joined: list[Span] = []
    for cell in row:
        joined += [Span(BETWEEN), *cell] if joined else cell
    return joined
