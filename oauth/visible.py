"""Replace characters that are invisible, or that reorder others, with visible escapes."""

import re
import unicodedata

# https://www.unicode.org/reports/tr44/#GC_Values_Table
_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

# Letters, marks and symbols that are drawn as nothing: Default_Ignorable_Code_Point of
# https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, and the empty Braille pattern and notehead.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0000-\U000e0fff]"
)

# Joiners between letters of some scripts or between parts of an emoji, and variation selectors after a character.
_ORTHOGRAPHIC = re.compile(
    "(?<=[^\0-\x7f\u200c\u200d])[\u200c\u200d](?=[^\0-\x7f\u200c\u200d])|(?<=[^\0-\x7f\u200c\u200d\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)


def visible(text: str) -> str:
    """Return a text in which an escape like `\\u202e` replaces each invisible character but line feeds and tabs."""
    text = text.replace("\r\n", "\n")
    kept = {found.start() for found in _ORTHOGRAPHIC.finditer(text)}
    return "".join(character if place in kept else _shown(character) for place, character in enumerate(text))


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if unicodedata.category(character) not in _CATEGORIES and not _BLANK.fullmatch(character):
        return character
    return f"\\u{ord(character):04x}"
