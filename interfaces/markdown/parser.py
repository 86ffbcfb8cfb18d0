"""Parse untrusted markdown, within limits that keep it cheap to parse and render."""

import re
from collections.abc import Callable, Iterable

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, reference
from markdown_it.rules_block.table import table
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from interfaces.markdown.emphasis import InlineParser
from oauth.errors import UnderstudyError

MOST_CHARACTERS = 100_000  # of a text that is parsed
MOST_STEPS = 10_000  # of the parser, each of which takes some microseconds
BLOCK_STEPS = 3  # for a block, in addition to its lines and its text
LINK_STEPS = 5  # for a character that may begin a link
CELL_STEPS = 4  # for a cell of a table, in addition to its text
MOST_NESTED = 20  # blocks in blocks, or formats in formats

BOXES = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}

_ADDRESS = re.compile(r"(?:https?://|mailto:|tel:).", re.IGNORECASE)
_FOOTNOTE = re.compile(r"\[\^([^\s\[\]]{1,40})\]")


class TooComplexError(UnderstudyError):
    """The markdown exceeds a limit, and has to be shown as plain text."""


class Parser(MarkdownIt):
    """A parser for CommonMark with tables, strikethrough, task lists and footnotes, in which HTML is text.

    The marks of tasks become ☐ and ☑. The mark of a footnote becomes `[1]`.

    Args:
        takes: returns whether an address may be a link. Markdown around any other address stays text. By default, all
            addresses may, except those that markdown-it considers dangerous.
        images: whether `![text](address)` is an image; otherwise it is a link.
        footnotes: whether `[^1]` is a footnote; otherwise it may be a link, as in CommonMark.
    """

    def __init__(
        self, takes: Callable[[str], bool] | None = None, *, images: bool = True, footnotes: bool = True
    ) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": MOST_NESTED})
        self._takes = takes or super().validateLink
        self.inline = InlineParser()
        self.configure("commonmark", {"html": False, "maxNesting": MOST_NESTED})
        self.enable(["table", "strikethrough"])
        self.core.ruler.after("inline", "tasks", _tasks)
        self.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
        if footnotes:
            self.block.ruler.at("reference", _reference)
            self.inline.ruler.before("link", "footnote", _footnote)
        if not images:
            self.disable("image")
        self.block.ruler.before(
            "table", "count", _count_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
        )
        self.inline.ruler.before("text", "count", _count_inline)
        self.parse("a")  # compiles the rules now, as two threads must not do so at once

    def validateLink(self, url: str) -> bool:  # noqa: N802 - named by markdown-it
        return self._takes(url)


def parse(parser: Parser, markdown: str) -> list[Token]:
    """Return the tokens of a text.

    Raises:
        TooComplexError: if the text is too long, takes too many steps to parse or is nested too deeply.
    """
    if len(markdown) > MOST_CHARACTERS:
        raise TooComplexError(f"it has more than {MOST_CHARACTERS} characters")
    tokens = parser.parse(markdown)
    _check_nesting(tokens)
    return tokens


def is_allowed(address: str) -> bool:
    """Return whether a link may lead to an address: a web page, a mailbox or a telephone."""
    return _ADDRESS.match(address) is not None


def _count(state: StateBlock | StateInline, steps: int) -> None:
    """Count steps of the parser.

    Raises:
        TooComplexError: if there were too many.
    """
    taken = state.env["steps"] = state.env.get("steps", 0) + steps
    if taken > MOST_STEPS:
        raise TooComplexError(f"it takes more than {MOST_STEPS} steps to parse")


def _count_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Count a block, or a line that may end one. This rule runs first and never matches."""
    _count(state, 1 if silent else BLOCK_STEPS)
    return False


def _count_inline(state: StateInline, silent: bool) -> bool:
    """Count a piece of text. This rule runs first and never matches."""
    _count(state, LINK_STEPS if not silent and state.src[state.pos] in "[<!" else 1)
    return False


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table as markdown-it does, and count its cells: markdown-it adds up to 65,536 to short rows."""
    if silent or not table(state, start, end, True):
        return table(state, start, end, silent)
    columns = state.getLines(start + 1, start + 2, 0, False).strip().strip("|").count("|") + 1
    rows = start
    while rows < end and not state.isEmpty(rows):
        _count(state, CELL_STEPS * columns)
        rows += 1
    return table(state, start, end, False)


def _reference(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse the definition of a link as markdown-it does. The definition of a footnote becomes a paragraph."""
    if state.src.startswith("[^", state.bMarks[start] + state.tShift[start]):
        return False
    return reference(state, start, end, silent)


def _footnote(state: StateInline, silent: bool) -> bool:
    found = _FOOTNOTE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.pending += f"[{found[1]}]"
    state.pos = found.end()
    return True


def _tasks(state: StateCore) -> None:
    """Show the marks at the beginning of list items as boxes: https://github.github.com/gfm/#task-list-items-extension-"""
    for item, _, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if item.type != "list_item_open" or inline.type != "inline" or not inline.children:
            continue
        text = inline.children[0]
        if text.type == "text" and (box := BOXES.get(text.content[:4])):
            text.content = box + text.content[4:]
            item.meta["task"] = True


def _check_nesting(tokens: Iterable[Token]) -> None:
    """Refuse deep nesting: markdown-it drops deeply nested blocks, and does not limit nested emphasis.

    Raises:
        TooComplexError: if something is nested too deeply.
    """
    depth = 0
    for token in tokens:
        depth += token.nesting
        if depth >= MOST_NESTED:
            raise TooComplexError(f"it is nested {MOST_NESTED} levels deep")
        _check_nesting(token.children or ())
