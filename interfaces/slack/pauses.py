"""Remember which calls of Slack have to pause."""

import time

WITHOUT_SCOPE = 600.0  # seconds until a call that lacked a scope is tried again


class Pauses:
    """Pauses of calls, by keys such as the id of a workspace. They are lost when the process ends."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def begin(self, key: str, seconds: float) -> bool:
        """Begin a pause; return whether it is the first one of its key."""
        is_first = key not in self._until
        self._until[key] = time.monotonic() + seconds
        return is_first

    def hold(self, *keys: str) -> bool:
        """Return whether one of the keys has a pause now."""
        now = time.monotonic()
        return any(self._until.get(key, now) > now for key in keys)
