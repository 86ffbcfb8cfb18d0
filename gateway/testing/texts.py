"""Long answers of many kinds, for testing how a channel divides them."""

import re
from collections.abc import Iterator, Sequence

UNLIMITED = 20_000  # characters, if the platform has no limit
LONGEST = 60_000  # characters

_WORD = re.compile(r"word(\d+)word")


def long_texts(limit: int | None) -> Iterator[tuple[str, str]]:
    """Yield names and markdown texts that have to be divided to fit a platform's limit."""
    length = min(3 * limit, LONGEST) if limit is not None else UNLIMITED
    words = [f"word{number}word" for number in range(length // 10)]
    yield "words", " ".join(words)
    yield "paragraphs", "\n\n".join(words)
    yield "strong words", f"**{' '.join(words)}**"
    yield "a list", "\n".join(f"- {word}" for word in words)
    yield "a quote", f"> {' '.join(words)}"
    yield "a code block", "```\n{}\n```".format("\n".join(words))
    yield "a table", "| a | b |\n|---|---|\n" + "\n".join(f"| {word} | x |" for word in words[:1000])
    yield "one long word", "x" * length
    yield "emoji", "🎭" * (length // 2)
    yield "characters that are escaped", "<&>" * (length // 3)
    yield "a line of code", "```\n{}\n```".format("<" * length)


def missing_words(text: str, parts: Sequence[str]) -> int:
    """Return how many numbered words of a text are missing from its parts; at least 1 if their order has changed."""
    given, found = _WORD.findall(text), _WORD.findall("\n".join(parts))
    return 0 if given == found else max(len(given) - len(found), 1)
