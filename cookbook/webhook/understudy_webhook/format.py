"""Answers stay markdown, which the host application renders. Long ones are divided."""

import re

from gateway.channels.presenter import MARK_LENGTH

LIMIT = 20_000  # characters of one message


def to_parts(markdown: str) -> list[str]:
    """Divide markdown between paragraphs, lines or words, whichever comes first from the end of a part."""
    parts: list[str] = []
    size = LIMIT - MARK_LENGTH
    while markdown := markdown.strip():
        cut = len(markdown)
        if cut > size:
            gaps = (list(re.finditer(pattern, markdown[: size + 1])) for pattern in (r"\n\n", r"\n", r"\s"))
            cut = next((found[-1].start() for found in gaps if found and found[-1].start() > 0), size)
        parts.append(markdown[:cut].strip())
        markdown = markdown[cut:]
    return parts
