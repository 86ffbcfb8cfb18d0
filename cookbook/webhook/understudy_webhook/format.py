"""Answers as the host application gets them: markdown (CommonMark), in one piece whatever its length."""

from toolkits.text import storable


def to_markdown(markdown: str) -> str:
    """Return an answer without characters that JSON cannot carry to every host, like lone surrogates."""
    return storable(markdown).strip()
