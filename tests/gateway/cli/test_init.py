"""`understudy init` writes files with which the next commands work."""

import asyncio
import json
from pathlib import Path

import pytest
from commands import Command, environment, run
from commands.in_process import invoke
from dotenv import dotenv_values
from peers.process import free_ports
from peers.telegram import updates
from peers.telegram.server import BOT_TOKEN, TelegramServer
from peers.wait import wait_until
from support.slack_manifest import accepted

from oauth import Keyring

pytestmark = pytest.mark.usefixtures("processes")


def fill_in(directory: Path, **values: str) -> None:
    """Fill in lines of `.env`, as an operator does."""
    path = directory / ".env"
    text = path.read_text()
    for name, value in values.items():
        assert f"{name}=\n" in text, text
        text = text.replace(f"{name}=\n", f"{name}={value}\n")
    path.write_text(text)


@pytest.mark.parametrize("file", ["agent.py", "gateway.yaml"])
def test_the_files_of_a_slack_bot_need_only_what_init_names(tmp_path: Path, file: str) -> None:
    ended = run("init", "--yes", "--toolkit", "gmail", "--toolkit", "calendar", "--file", file, directory=tmp_path)
    assert ended.returncode == 0, ended.stderr
    for name in ("OPENAI_API_KEY", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "SLACK_APP_TOKEN", "SLACK_BOT_TOKEN"):
        assert ended.stderr.count(name) == 1
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert accepted(json.loads((tmp_path / "slack-manifest.json").read_text())).settings.socket_mode_enabled
    tokens = {"SLACK_APP_TOKEN": "xapp-1", "SLACK_BOT_TOKEN": "xoxb-1"}
    clients = {"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "secret"}
    fill_in(tmp_path, OPENAI_API_KEY="none", **tokens, **clients)
    checked = run("doctor", file, "--json", directory=tmp_path, SLACK_API_URL="http://127.0.0.1:9/api")
    found = {each["subject"]: each for each in map(json.loads, checked.stdout.splitlines())}
    assert found["settings"]["mark"] == "ok", checked.stdout
    assert found["slack bot token"]["text"].startswith("Slack could not be asked"), "there is no Slack here"


def test_a_bot_answers_after_init_doctor_and_serve(tmp_path: Path, telegram: TelegramServer) -> None:
    env = {"TELEGRAM_API_URL": telegram.url, "UNDERSTUDY_MODEL": "test"}  # no provider is reached here
    assert run("init", "--yes", "--channel", "telegram", directory=tmp_path).returncode == 0
    fill_in(tmp_path, TELEGRAM_BOT_TOKEN=BOT_TOKEN, OPENAI_API_KEY="none")
    checked = run("doctor", "agent.py", directory=tmp_path, **env)
    assert checked.returncode == 0, checked.stdout
    telegram.api.pending.add(updates.private_message("hello"))
    with (tmp_path / "log.txt").open("wb") as log:
        port = str(free_ports(1)[0])
        serving = Command(
            "serve", "agent.py", "--port", port,
            directory=tmp_path, env=environment(tmp_path, **env), stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_until(lambda: telegram.called("sendMessage"), what="the answer")
            serving.terminate()
            assert serving.wait(30) == 0, (tmp_path / "log.txt").read_text()
        finally:
            serving.kill()


def test_questions_are_asked_for_what_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_MODEL", "openai:gpt-5.2")  # the command sets both
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", Keyring.generate())
    shown = asyncio.run(invoke("init", answer="telegram\n\nreminders, gmail\n"))
    assert "Channel (" in shown
    code = (tmp_path / "agent.py").read_text()
    assert "from interfaces.telegram import Telegram" in code
    assert "toolkits=[Reminders(), Gmail()]" in code
    written = dotenv_values(tmp_path / ".env")
    assert written["UNDERSTUDY_MODEL"] == "openai:gpt-5.2"
    assert {"TELEGRAM_BOT_TOKEN", "GOOGLE_CLIENT_ID"} <= written.keys()
    assert "UNDERSTUDY_SECRET_KEY" not in written, "the environment has one"
    assert not (tmp_path / "slack-manifest.json").exists()


def test_settings_that_are_there_are_kept(tmp_path: Path) -> None:
    key = Keyring.generate()
    (tmp_path / ".env").write_text(f"UNDERSTUDY_SECRET_KEY={key}\nTELEGRAM_BOT_TOKEN=1:x")
    (tmp_path / ".env").chmod(0o600)
    assert run("init", "--yes", "--channel", "telegram", "--model", "test:x", directory=tmp_path).returncode == 0
    first = dotenv_values(tmp_path / ".env")
    assert (first["UNDERSTUDY_SECRET_KEY"], first["TELEGRAM_BOT_TOKEN"]) == (key, "1:x")
    assert first["UNDERSTUDY_MODEL"] == "test:x"
    again = run("init", "--yes", "--channel", "telegram", "--force", directory=tmp_path)
    assert again.returncode == 0, again.stderr
    assert dotenv_values(tmp_path / ".env").items() >= first.items()


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    run("init", "--yes", "--channel", "telegram", directory=tmp_path)
    first = (tmp_path / ".env").read_text()
    run("init", "--yes", "--channel", "telegram", "--force", directory=tmp_path)
    assert (tmp_path / ".env").read_text() == first


@pytest.mark.parametrize("there", ["agent.py", "slack-manifest.json"])
def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    ended = run("init", "--yes", directory=tmp_path)
    assert ended.returncode == 2
    assert f"{there} exists" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"
    assert run("init", "--yes", "--force", directory=tmp_path).returncode == 0
    assert (tmp_path / there).read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--channel", "pigeon"], "There is no channel called 'pigeon': choose one of"),
        (["--channel", "web"], "There is no channel called 'web'"),
        (["--toolkit", "fax"], "There is no toolkit called 'fax'"),
        (["--model", "gpt-5.2"], "The model 'gpt-5.2' has no provider"),
        (["--file", "bot.txt"], "bot.txt is neither a Python file (.py) nor a YAML file"),
        (["--file", "nowhere/bot.py"], "nowhere/bot.py cannot be written: No such file or directory."),
    ],
)
def test_what_does_not_exist_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = run("init", "--yes", *arguments, directory=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert list(tmp_path.iterdir()) == []
