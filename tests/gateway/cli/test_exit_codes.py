"""The exit codes, which are the same in all commands: docs/operations.md lists them."""

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.cli.main import main
from gateway.testing.databases import make_migrated

Run = Callable[..., object]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `understudy …` in an empty directory, and return its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["understudy", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the database that commands read, and return its path."""
    path = tmp_path / "stage.db"
    make_migrated(path)
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", f"sqlite:///{path}")
    return path


@pytest.mark.parametrize("arguments", [["--version"], ["keys", "new"], ["audit"], ["status"], ["audit", "--help"]])
def test_a_command_that_did_its_work_ends_with_0(arguments: list[str], run: Run, database: Path) -> None:
    assert run(*arguments) == 0


def test_a_command_that_found_a_problem_ends_with_1(run: Run) -> None:
    Path("wrong.yaml").write_text("agents: {}\n")
    assert run("config", "check", "wrong.yaml") == 1


def test_a_command_that_failed_ends_with_1_and_one_line(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE audit")
    assert run("audit") == 1
    printed = capsys.readouterr().err
    assert "no such table: audit" in printed
    assert printed.count("\n") == 1


def test_a_command_that_is_not_confirmed_ends_with_1(run: Run, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("n\n"))
    assert run("person", "erase", "stage", "T1", "alice") == 1


WRONG = [
    ["nonsense"],
    ["audit", "--nonsense"],
    ["show"],
    ["show", "00000000"],
    ["deadletters", "show", "m1"],
    ["deadletters", "retry"],
    ["turns", "stop", "00000000"],
    ["access", "remove", "stage", "T1", "alice"],
    ["person", "export", "stage", "T1", "alice"],
    ["check", "nowhere.py"],
    ["config", "show", "nowhere.yaml"],
    ["db", "copy", "sqlite:///nowhere.db", "sqlite:///new.db"],
    ["accounts", "list", "--limit", "none"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_arguments_settings_and_files_end_with_2(arguments: list[str], run: Run, database: Path) -> None:
    assert run(*arguments) == 2


def test_a_missing_database_and_a_malformed_env_file_end_with_2(run: Run) -> None:
    assert run("audit") == 2
    Path(".env").write_text("no setting\n")
    assert run("--version") == 2


def test_an_interrupted_command_ends_with_130(run: Run, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(coroutine: Coroutine[object, object, None]) -> NoReturn:
        coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupt)
    assert run("audit") == 130
