"""`understudy dev FILE` starts again when the agent's files change."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers.wait import wait_until
from support.dev import dev, transcript
from watchfiles import Change

from gateway.cli.dev.reloading import OwnFiles, Program, run_reloading, watched_folders

START = 60  # seconds that a start may take on a busy machine

BOT = """
import asyncio, os
from words import GREETING

async def answer(message):
    if message.text == "take long" and GREETING == "hello":
        await asyncio.sleep(3600)
    return f"{GREETING} {os.environ['NAME']}: {message.text}"
"""


@pytest.mark.usefixtures("processes")
@pytest.mark.long
def test_dev_goes_on_with_the_edited_files_and_settings_and_waits_while_they_have_an_error(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "words.py").write_text("GREETING = 'hello'")
    (tmp_path / ".env").write_text("NAME=Ann\n")
    with dev(tmp_path, "bot.py") as running:
        with running.window("alice") as window:
            window.post("/messages", json={"id": "1", "text": "hi"})
            assert "hello Ann: hi" in transcript(window, 2)[1]["html"]
            window.post("/messages", json={"id": "2", "text": "take long"})
            wait_until(lambda: "true" in window.get("/transcript").headers["Understudy-Running"], what="a running turn")
        (tmp_path / ".env").write_text("NAME=Bob\n")
        (tmp_path / "words.py").write_text("GREETING = hello'")
        wait_until(lambda: "Waiting for a change" in running.printed(), START, "dev waits for a change")
        assert "words.py:1:17: this is not Python" in running.printed()
        assert running.child.poll() is None

        (tmp_path / "words.py").write_text("GREETING = 'goodbye'")
        wait_until(running.answers, START, "dev answers again")
        with running.window("alice") as window:
            assert "goodbye Bob: take long" in transcript(window, 4)[3]["html"]
        running.child.send_signal(signal.SIGINT)
        assert running.child.wait(20) == 0
        assert not running.answers()


@pytest.fixture
def sigterm() -> Iterator[None]:
    """Restore the handler of SIGTERM after the test."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("processes", "sigterm")
def test_a_program_that_fails_at_the_first_start_ends_the_command_with_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_reloading(Program(["sh", "-c", "exit 2"], dict(os.environ), tmp_path / "bot.py")) == 2
    assert "Waiting" not in capsys.readouterr().err


def test_the_packages_beside_a_file_are_watched_and_other_folders_are_not(tmp_path: Path) -> None:
    for file in ("tools/__init__.py", "tools/inner/mail.py", "node_modules/x/y.py", ".venv/z.py", "data/rows.csv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert watched_folders(tmp_path / "bot.py") == {tmp_path, tmp_path / "tools", tmp_path / "tools" / "inner"}


@pytest.mark.parametrize("name", ["bot.py", "bot.yaml", "bot.yml", ".env", "pkg/mail.py"])
def test_a_change_of_code_and_settings_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert OwnFiles({tmp_path, tmp_path / "pkg"})(Change.modified, str(tmp_path / name))


@pytest.mark.parametrize("name", ["notes.txt", "dev.db-wal", ".#bot.py", "bot.py~", "bot.pyc", "other/.env"])
def test_a_change_of_other_files_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert not OwnFiles({tmp_path})(Change.modified, str(tmp_path / name))
