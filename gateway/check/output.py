"""Collect log lines, warnings and printed output while tools run."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from gateway.logs import QUIET_LIBRARIES


class Output(logging.Handler):
    """Collects output, with the log lines that a running gateway would write.

    Attributes:
        lines: the origin and the text of each log line and each warning.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[tuple[str, str]] = []
        self._printed = io.StringIO()
        self._formatter = logging.Formatter()

    @property
    def printed(self) -> str:
        return self._printed.getvalue()

    def clear(self) -> None:
        self.lines.clear()
        self._printed.truncate(0)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect log lines, warnings and printed output. Printed output does not reach the terminal."""
        with (
            self._log(),
            self._warnings(),
            contextlib.redirect_stdout(self._printed),
            contextlib.redirect_stderr(self._printed),
        ):
            yield

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in {*QUIET_LIBRARIES, "asyncio"} and record.levelno < logging.WARNING:
            return
        where = f"logger {record.name!r} at {record.filename}:{record.lineno}"
        self.lines.append((where, self._formatter.format(record)))

    @contextlib.contextmanager
    def _log(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(self)

    @contextlib.contextmanager
    def _warnings(self) -> Iterator[None]:
        """Collect warnings, even those that Python hides by default: an operator may enable them."""
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = self._warned
            yield

    def _warned(self, message: Warning | str, category: Any, filename: str, lineno: int, *_: Any, **__: Any) -> None:
        self.lines.append((f"a warning at {PurePath(filename).name}:{lineno}", str(message)))
