"""Parse untrusted markdown, within limits that keep it cheap to parse and render."""

import re
from collections.abc import Callable, Iterable

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.table import table
from markdown_it.token import Token

from oauth.errors import UnderstudyError

MOST_CHARACTERS = 100_000  # of a text that is parsed, which takes a second or two in the worst case
MOST_CELLS = 3000  # of one table
MOST_NESTED = 20  # blocks in blocks, or formats in formats

_ADDRESS = re.compile(r"(?:https?://|mailto:|tel:).", re.IGNORECASE)


class TooComplexError(UnderstudyError):
    """The markdown is beyond a limit. Show it as plain text."""


class Parser(MarkdownIt):
    """A parser for CommonMark with tables and strikethrough, in which HTML is text.

    Args:
        takes: returns whether an address makes a link; markdown around any other address stays text. By default all
            addresses do, except those that markdown-it knows to be dangerous.
        images: whether `![text](address)` is an image; otherwise it is a link.
    """

    def __init__(self, takes: Callable[[str], bool] | None = None, *, images: bool = True) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": MOST_NESTED})
        self._takes = takes or super().validateLink
        self.enable(["table", "strikethrough"])
        self.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
        if not images:
            self.disable("image")
        self.parse("a")  # compiles the rules now, as two threads must not do so at once

    def validateLink(self, url: str) -> bool:  # noqa: N802 - named by markdown-it
        return self._takes(url)


def parse(parser: Parser, markdown: str) -> list[Token]:
    """Return the tokens of a text.

    Raises:
        TooComplexError: if the text is too long, formats are nested too deeply or a table has too many cells.
    """
    if len(markdown) > MOST_CHARACTERS:
        raise TooComplexError(f"it has more than {MOST_CHARACTERS} characters")
    tokens = parser.parse(markdown)
    _check_nesting(tokens)
    return tokens


def is_allowed(address: str) -> bool:
    """Return whether a link may lead to an address: a web page, a mailbox or a telephone."""
    return _ADDRESS.match(address) is not None


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table as markdown-it does, within a limit: by itself it fills up short rows with up to 65,536 cells."""
    if not table(state, start, end, True):
        return False
    if silent:
        return True
    columns = state.getLines(start, start + 1, 0, False).count("|") + 1
    rows = 0
    while start + rows < end and not state.isEmpty(start + rows):
        rows += 1
        if rows * columns > MOST_CELLS:
            raise TooComplexError(f"it has a table of more than {MOST_CELLS} cells")
    return table(state, start, end, False)


def _check_nesting(tokens: Iterable[Token]) -> None:
    """Refuse deep nesting, of which markdown-it drops blocks and does not limit emphasis.

    Raises:
        TooComplexError: if something is nested too deeply.
    """
    depth = 0
    for token in tokens:
        depth += token.nesting
        if depth >= MOST_NESTED:
            raise TooComplexError(f"it is nested {MOST_NESTED} levels deep")
        _check_nesting(token.children or ())
