"""Text that came from outside, as it can be stored and sent."""


def storable(text: str) -> str:
    """Return a text without what UTF-8 or PostgreSQL cannot hold.

    NULs are removed. Two surrogates that make a character become it; a lone one becomes U+FFFD.
    """
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
