"""Run a program, and start it again when its files have changed."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

from gateway.cli.environment import FILE as ENVIRONMENT_FILE
from gateway.cli.terminal import say

SUFFIXES = (".py", ".yaml", ".yml")
POLL_INTERVAL = 100  # milliseconds between two looks at the program
DEBOUNCE = 400  # milliseconds in which several changes count as one
END_GRACE = 8.0  # seconds that the program has to end


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs an operator's file.

    Args:
        command: the command line.
        environment: all variables of its environment.
        file: the operator's file.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    file: Path


def run_reloading(program: Program) -> int:
    """Run a program until Ctrl-C or SIGTERM, and start it again after each change of its files.

    A program that ends by itself after a change has printed why, and is started again after the next change.

    Returns:
        The exit status of the program, if it ended by itself without an error, or before any change; otherwise 0.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it ends the wait for changes, as Ctrl-C does
    say(f"Starting {program.file}, and again whenever it or what it imports changes.")
    is_first = True
    try:
        while True:
            changes = _changes(program.file)
            next(changes)  # from now on, no change is missed
            child = _start(program)
            try:
                if not (changed := _next_change(changes, child, may_end=is_first)):
                    return child.returncode
                say(f"Changed: {', '.join(sorted(changed))}. Starting again.")
            finally:
                _end(child)
            is_first = False
    except KeyboardInterrupt:
        return 0


def watched_folders(file: Path) -> set[Path]:
    """Return the folders with the files of a program: that of the operator's file, and the packages in it."""
    top = file.resolve().parent
    folders = {top}
    for name, inner, files in os.walk(top):
        folder = Path(name)
        if folder == top or any(each.endswith(".py") for each in files):
            folders.add(folder)
            inner[:] = filter(str.isidentifier, inner)
        else:  # not a package, but perhaps a large folder like node_modules
            inner.clear()
    return folders


class OwnFiles(DefaultFilter):
    """Lets changes pass of Python files, YAML files and `.env`, but not of the temporary files of editors."""

    def __init__(self, folders: set[Path]) -> None:
        super().__init__()
        self._folders = folders
        self._environment = ENVIRONMENT_FILE.resolve()

    def __call__(self, change: Change, path: str) -> bool:
        changed = Path(path)
        is_own = changed.parent in self._folders and changed.suffix in SUFFIXES
        return (is_own or changed == self._environment) and super().__call__(change, path)


def _changes(file: Path) -> Iterator[set[str]]:
    """Yield the names of files that have changed together, or an empty set after `POLL_INTERVAL` without a change."""
    folders = watched_folders(file)
    # Folders are watched rather than files, because editors replace files.
    for changes in watch(
        *folders,
        ENVIRONMENT_FILE.resolve().parent,
        watch_filter=OwnFiles(folders),
        debounce=DEBOUNCE,
        rust_timeout=POLL_INTERVAL,
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    ):
        yield {Path(path).name for _, path in changes}


def _start(program: Program) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own: Ctrl-C reaches only this process, which then ends the program."""
    return subprocess.Popen(program.command, env=program.environment, process_group=0)  # noqa: S603 - this program


def _next_change(changes: Iterator[set[str]], child: subprocess.Popen[bytes], *, may_end: bool) -> set[str]:
    """Wait for the next change, and return the names of the changed files.

    Args:
        may_end: whether to return if the program fails. If it ends without an error, this function always returns.

    Returns:
        An empty set if the program has ended.
    """
    is_running = True
    for changed in changes:
        if changed:
            return changed
        if is_running and child.poll() is not None:
            if may_end or child.returncode == 0:
                break
            is_running = False
            say("Waiting for a change.")
    return set()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a program: ask it to, and kill it if it takes too long or Ctrl-C is pressed again."""
    child.terminate()
    try:
        child.wait(END_GRACE)
    except subprocess.TimeoutExpired:
        say(f"It has not ended within {END_GRACE:g} s and is killed. Its messages are answered after the next start.")
    finally:
        child.kill()
        child.wait()
