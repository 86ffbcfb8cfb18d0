"""What somebody who watches a command in a terminal sees. The other tests run commands without a terminal."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from commands import COMMAND, environment

from gateway.testing.databases import make_migrated

pytestmark = [pytest.mark.usefixtures("processes"), pytest.mark.long]


def watch(*arguments: str, directory: Path) -> str:
    """Run `understudy …` in a terminal, and return what it shows on standard error.

    It runs in a new process: a fork of the zygote has already looked whether there is a terminal.
    """
    ours, theirs = os.openpty()
    env = environment(directory, TERM="xterm", COLUMNS="80", LINES="24")
    shown = b""
    with open(ours, "rb", buffering=0) as screen:
        child = subprocess.Popen([COMMAND, *arguments], cwd=directory, env=env, stderr=theirs)
        os.close(theirs)
        with suppress(OSError):  # nobody has the terminal open any more
            while chunk := screen.read(4096):
                shown += chunk
        child.wait(60)
    return shown.decode()


def test_a_command_that_loads_a_file_says_so_first_in_a_terminal(tmp_path: Path) -> None:
    assert watch("check", "nowhere.py", directory=tmp_path).startswith("Loading nowhere.py …")


def test_long_work_has_a_progress_bar_in_a_terminal(tmp_path: Path) -> None:
    make_migrated(tmp_path / "old.db")
    shown = watch("db", "copy", "sqlite:///old.db", "sqlite:///new.db", directory=tmp_path)
    assert "Copying rows" in shown
    assert "Copied. Set UNDERSTUDY_DATABASE_URL" in shown
