"""`understudy init` writes files with which the next commands work."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from commands import run
from commands.in_process import invoke
from dotenv import dotenv_values
from support.slack_manifest import accepted

from oauth import Keyring, SettingError


def fill_in(directory: Path, **values: str) -> None:
    """Fill in lines of `.env`, as an operator does."""
    path = directory / ".env"
    text = path.read_text()
    for name, value in values.items():
        assert f"{name}=\n" in text, text
        text = text.replace(f"{name}=\n", f"{name}={value}\n")
    path.write_text(text)


@pytest.mark.usefixtures("processes")
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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("UNDERSTUDY_MODEL", "UNDERSTUDY_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


async def test_questions_are_asked_for_what_is_not_given(folder: Path) -> None:
    shown = await invoke("init", answer="telegram\n\ngroq\n\nreminders, gmail\n")
    assert [line.split(" (")[0].split(" [")[0] for line in shown.splitlines()[:5]] == [
        "Channel", "Public address, like https://bot.example.com", "Provider of the model", "Model", "Toolkits",
    ]  # fmt: skip
    code = (folder / "agent.py").read_text()
    assert "from interfaces.telegram import Telegram" in code
    assert "toolkits=[Reminders(), Gmail()]" in code
    written = dotenv_values(folder / ".env")
    assert written["UNDERSTUDY_MODEL"] == "groq:openai/gpt-oss-120b"
    assert written["TELEGRAM_ACCESS"] == "pairing"
    assert {"GROQ_API_KEY", "TELEGRAM_BOT_TOKEN", "GOOGLE_CLIENT_ID"} <= written.keys()
    assert not (folder / "slack-manifest.json").exists()


async def test_a_wrong_answer_is_asked_again(folder: Path) -> None:
    answers = "slak\nwhatsapp\nbot.example.com\nhttps://bot.example.com/\nopnai\nopenai\ngpt-6-luna\nfax\ngmail\n"
    shown = await invoke("init", answer=answers)
    for sentence in (
        "There is no channel called 'slak': choose one of",
        "The address 'bot.example.com' cannot be used: it has to be an address like https://example.com.",
        "There is no provider called 'opnai': choose one of",
        "There is no toolkit called 'fax': choose one of",
    ):
        assert shown.count(sentence) == 1
    written = dotenv_values(folder / ".env")
    assert (written["UNDERSTUDY_BASE_URL"], written["UNDERSTUDY_MODEL"]) == (
        "https://bot.example.com",
        "openai:gpt-6-luna",
    )


async def test_nothing_is_written_if_the_operator_stops_at_a_question(folder: Path) -> None:
    with pytest.raises(SystemExit):
        await invoke("init", answer="slack\n")
    assert list(folder.iterdir()) == []


async def test_slack_reaches_a_public_address_by_webhooks(folder: Path) -> None:
    await invoke("init", "--yes", "--address", "https://bot.example.com")
    written = dotenv_values(folder / ".env")
    assert written["UNDERSTUDY_BASE_URL"] == "https://bot.example.com"
    assert "SLACK_SIGNING_SECRET" in written
    assert "SLACK_APP_TOKEN" not in written
    settings = accepted(json.loads((folder / "slack-manifest.json").read_text())).settings
    assert not settings.socket_mode_enabled
    assert settings.event_subscriptions.request_url == "https://bot.example.com/slack/events"


async def test_a_missing_package_of_the_model_is_said_with_the_next_steps(folder: Path) -> None:
    shown = await invoke("init", "--yes", "--model", "anthropic:claude-sonnet-5-5")
    assert "pip install 'understudy[anthropic]'" in shown.partition("Next:")[2]
    assert "ANTHROPIC_API_KEY" in dotenv_values(folder / ".env")


async def test_an_empty_line_is_filled_and_another_value_is_kept_and_named(folder: Path) -> None:
    (folder / ".env").write_text("UNDERSTUDY_BASE_URL=\nUNDERSTUDY_MODEL=test\n")
    shown = await invoke("init", "--yes", "--address", "https://bot.example.com")
    written = dotenv_values(folder / ".env")
    assert (written["UNDERSTUDY_BASE_URL"], written["UNDERSTUDY_MODEL"]) == ("https://bot.example.com", "test")
    assert ".env keeps its UNDERSTUDY_MODEL, test: change it there if you want openai:gpt-5.2." in shown


async def test_no_file_is_written_if_the_settings_cannot_be(folder: Path) -> None:
    (folder / ".env").mkdir()
    with pytest.raises(SettingError, match=r"\.env cannot be written: Is a directory"):
        await invoke("init", "--yes")
    assert [path.name for path in folder.iterdir()] == [".env"]


@pytest.mark.usefixtures("processes")
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


@pytest.mark.usefixtures("processes")
def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    run("init", "--yes", "--channel", "telegram", directory=tmp_path)
    first = (tmp_path / ".env").read_text()
    run("init", "--yes", "--channel", "telegram", "--force", directory=tmp_path)
    assert (tmp_path / ".env").read_text() == first


@pytest.mark.parametrize("there", ["agent.py", "slack-manifest.json"])
async def test_a_file_that_is_there_is_not_overwritten(folder: Path, there: str) -> None:
    (folder / there).write_text("mine")
    with pytest.raises(SettingError, match=f"{there} exists"):
        await invoke("init", "--yes")
    assert [path.name for path in folder.iterdir()] == [there]
    assert (folder / there).read_text() == "mine"
    await invoke("init", "--yes", "--force")
    assert (folder / there).read_text() != "mine"


@pytest.mark.parametrize("answer", ["n", "y"])
async def test_a_file_that_is_there_is_overwritten_if_the_operator_says_so(folder: Path, answer: str) -> None:
    (folder / "agent.py").write_text("mine")
    stopped = pytest.raises(SettingError, match=r"agent\.py exists") if answer == "n" else nullcontext()
    with stopped:
        await invoke("init", answer=f"{answer}\ntelegram\n\n\n\n\n")
    assert ((folder / "agent.py").read_text() == "mine") == (answer == "n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--channel", "pigeon"], "There is no channel called 'pigeon': choose one of"),
        (["--channel", "web"], "There is no channel called 'web'"),
        (["--toolkit", "fax"], "There is no toolkit called 'fax'"),
        (["--model", "gpt-5.2"], "The model 'gpt-5.2' has no provider"),
        (["--file", "bot.txt"], "bot.txt is neither a Python file (.py) nor a YAML file"),
        (["--file", "gateway.py"], "gateway.py would hide Understudy's package 'gateway'"),
        (["--file", "nowhere/bot.py"], "The folder nowhere does not exist"),
        (["--address", "bot.example.com"], "The address 'bot.example.com' cannot be used"),
    ],
)
async def test_what_does_not_exist_is_named(folder: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(SettingError) as raised:
        await invoke("init", "--yes", *arguments)
    assert said in str(raised.value)
    assert list(folder.iterdir()) == []
