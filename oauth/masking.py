"""Mask the secrets of settings in the log."""

SHORTEST = 8  # characters: a shorter secret may be an ordinary word
MASK = "***"

_secrets: set[str] = set()


def mask_from_now_on(secret: str) -> None:
    """Make `mask` mask a secret until the process ends. It is for the operator's secrets, not for those of people."""
    if len(secret) >= SHORTEST:
        _secrets.add(secret)


def mask(text: str) -> str:
    """Return a text in which `***` replaces each secret."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text
