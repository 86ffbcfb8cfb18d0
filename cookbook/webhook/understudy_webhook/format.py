"""The format of answers to the host application: markdown (CommonMark), in one piece of any length."""

from toolkits.text import storable


def to_markdown(markdown: str) -> str:
    """Return an answer without characters that JSON cannot carry to every host, like lone surrogates."""
    return storable(markdown).strip()
