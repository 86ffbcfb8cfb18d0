"""The settings in `.env`, as every command reads them."""

from pathlib import Path

import pytest
from commands import run

from oauth import Keyring

pytestmark = pytest.mark.usefixtures("processes")


def dotenv(directory: Path, text: str, mode: int = 0o600) -> None:
    (directory / ".env").write_text(text)
    (directory / ".env").chmod(mode)


def test_commands_read_the_settings_in_the_file(tmp_path: Path) -> None:
    dotenv(tmp_path, "# mine\nexport UNDERSTUDY_DATABASE_URL='sqlite:///of-the-file.db'\n")
    assert run("db", "upgrade", directory=tmp_path).returncode == 0
    assert (tmp_path / "of-the-file.db").exists()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    dotenv(tmp_path, "UNDERSTUDY_DATABASE_URL=sqlite:///of-the-file.db\n")
    url = "sqlite:///of-the-environment.db"
    assert run("db", "upgrade", directory=tmp_path, UNDERSTUDY_DATABASE_URL=url).returncode == 0
    assert not (tmp_path / "of-the-file.db").exists()
    assert (tmp_path / "of-the-environment.db").exists()


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    dotenv(tmp_path, "UNDERSTUDY_DATABASE_URL=sqlite:///${HOME}$x.db\n")
    assert run("db", "upgrade", directory=tmp_path).returncode == 0
    assert (tmp_path / "${HOME}$x.db").exists()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_gets_a_warning(mode: int, warned: bool, tmp_path: Path) -> None:
    dotenv(tmp_path, "A=1\n", mode)
    ended = run("keys", "new", directory=tmp_path)
    assert ended.returncode == 0
    assert ("run `chmod 600 .env`" in ended.stderr) == warned
    assert Keyring.parse(ended.stdout.strip())


WRONG = {
    "a line without an equals sign": (b"A=1\nnot a setting\n", ".env:2: this is not of the form NAME=value"),
    "another encoding": ("A=é\n".encode("latin-1"), ".env is not encoded in UTF-8"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_is_reported_in_one_sentence(wrong: str, tmp_path: Path) -> None:
    content, sentence = WRONG[wrong]
    (tmp_path / ".env").write_bytes(content)
    ended = run("keys", "new", directory=tmp_path)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_folder_in_place_of_the_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    ended = run("keys", "new", directory=tmp_path)
    assert ended.returncode == 2
    assert ".env cannot be read: Is a directory." in ended.stderr
