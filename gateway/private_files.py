"""Files with secrets, which only their owner may read."""

import stat
from pathlib import Path

PRIVATE = 0o600  # the mode of such a file
OTHERS = 0o077  # the permission bits of other users


def is_open(mode: int) -> bool:
    """Return whether other users can read or change a regular file with this mode, as `os.stat` returns it."""
    return stat.S_ISREG(mode) and bool(mode & OTHERS)


def warning_if_open(path: Path) -> str | None:
    """Return a sentence that says what to do if other users can read a file; `None` if it is private, or missing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    return f"Other users of this machine can read {path}: run `chmod 600 {path}`." if is_open(mode) else None
