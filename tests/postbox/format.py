"""Divide texts into letters, which are plain text of up to a thousand characters."""

import re

from gateway.channels.presenter import MARK_LENGTH

LIMIT = 1000  # characters


def to_letters(text: str) -> list[str]:
    """Divide a text into parts that leave room for a mark. Cut between words where possible."""
    parts: list[str] = []
    while text := text.strip():
        size = LIMIT - MARK_LENGTH
        if len(text) > size and (spaces := list(re.finditer(r"\s", text[: size + 1]))):
            size = spaces[-1].start()
        parts.append(text[:size].strip())
        text = text[size:]
    return parts
