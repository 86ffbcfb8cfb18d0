"""Mask the secrets among the settings, wherever the log would show them."""

SHORTEST = 8  # characters: a shorter secret may be an ordinary word
MASK = "***"

_secrets: set[str] = set()


def mask_from_now_on(secret: str) -> None:
    """Have `mask` mask a secret, as long as the process runs. It is for secrets of the operator, not of a person."""
    if len(secret) >= SHORTEST:
        _secrets.add(secret)


def mask(text: str) -> str:
    """Return a text with `***` in the place of each secret."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text
