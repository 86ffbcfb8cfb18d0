"""Parse emphasis in text without spaces between words, such as Chinese and Japanese.

In CommonMark, `**` after `。` ends bold text only if a space or punctuation follows. In the CJK-friendly rules
(https://github.com/tats-u/markdown-cjk-friendly/blob/main/specification.md), a CJK character counts as punctuation.
"""

from unicodedata import east_asian_width

from markdown_it import MarkdownIt
from markdown_it.common.utils import isPunctChar
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline.state_inline import Scanned, StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType


def is_wide(character: str) -> bool:
    """Return whether a character takes two columns, as Chinese, Japanese and Korean ones do."""
    return east_asian_width(character) in "WF"


class InlineParser(ParserInline):
    """Parses inline markdown with `InlineState`."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = InlineState(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class InlineState(StateInline):
    """Scans the marks of emphasis as markdown-it does, except for `*` and `~` beside a wide character."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - named by markdown-it
        scanned = super().scanDelims(start, canSplitWord)
        end = start + scanned.length
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        if not canSplitWord or not (is_wide(before) or is_wide(after)):
            return scanned
        opens = not after.isspace() and (not _is_punctuation(after) or _is_edge(before))
        closes = not before.isspace() and (not _is_punctuation(before) or _is_edge(after))
        return Scanned(opens, closes, scanned.length)


def _is_punctuation(character: str) -> bool:
    return isPunctChar(character) and not is_wide(character)


def _is_edge(character: str) -> bool:
    return character.isspace() or is_wide(character) or isPunctChar(character)
