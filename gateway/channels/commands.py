"""Commands in channels in which they are text like any other."""

import re

COMMANDS = ("start", "help", "new", "accounts", "disconnect")

_SLASHED = re.compile(rf"/({'|'.join(COMMANDS)})(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)
_PLAIN = re.compile(r"(new(?!\s)|accounts|disconnect)(?:\s+(\S+))?", re.IGNORECASE)


def command_in(text: str, *, plain: bool = False) -> tuple[str | None, str]:
    """The command that a text is, and what follows it; `None` if it is none.

    Args:
        plain: whether `new`, `accounts` and `disconnect NAME` are commands without a slash, too.
    """
    found = _SLASHED.fullmatch(text.strip()) or (_PLAIN.fullmatch(text.strip()) if plain else None)
    return (None, "") if found is None else (found[1].lower(), (found[2] or "").strip())
