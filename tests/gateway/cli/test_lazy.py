"""Commands are imported when they run."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from commands import environment

from gateway.cli.lazy import LazyCommand
from gateway.cli.main import app

COMMANDS = typer.main.get_group(app).commands

# What the help does not need, and takes long to import.
SLOW = {"aiohttp", "authlib", "cryptography", "httpx", "pydantic", "pydantic_ai", "sqlalchemy", "starlette"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_that_lists_a_command_is_that_of_the_command(name: str) -> None:
    listed = COMMANDS[name]
    assert isinstance(listed, LazyCommand)
    own, _, _ = (listed.load().help or "").partition("\n\n")
    assert listed.help == " ".join(own.split())


def test_the_help_imports_nothing_that_takes_long(processes: None, tmp_path: Path) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from gateway.cli.main import app;"
        "assert 'deadletters' in CliRunner().invoke(app, ['--help']).stdout;"
        f"print(sorted({SLOW} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout == "[]\n", ended.stderr
