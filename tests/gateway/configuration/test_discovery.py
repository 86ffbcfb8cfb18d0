"""Channels are found by their names, and an error says which channels and settings are missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

from gateway.configuration.discovery import configured_interfaces, load_interface
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from oauth import SettingError

VARIABLES = (
    "SLACK_APP_TOKEN",
    "SLACK_BOT_TOKEN",
    "SLACK_CLIENT_ID",
    "SLACK_CLIENT_SECRET",
    "TELEGRAM_BOT_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_WHATSAPP_FROM",
)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_channel_is_found_by_its_name() -> None:
    assert load_interface("slack") is Slack


def test_the_error_about_a_channel_that_is_not_installed_lists_the_installed_ones() -> None:
    with pytest.raises(SettingError, match="no channel called 'pigeon', only chatkit, slack, telegram, web"):
        load_interface("pigeon")


def test_the_settings_that_a_channel_needs_are_named() -> None:
    with pytest.raises(SettingError, match="No channel is set up") as raised:
        configured_interfaces()
    assert all(name in str(raised.value) for name in VARIABLES)
    assert "telegram (TELEGRAM_BOT_TOKEN);" in str(raised.value)


def test_a_channel_with_all_settings_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:ABC")
    (telegram,) = configured_interfaces()
    assert isinstance(telegram, Telegram)


def test_the_settings_of_a_channel_with_a_name_add_no_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_SUPPORT_BOT_TOKEN", "1:ABC")
    with pytest.raises(SettingError, match=r"like telegram\.support, are used only if the file lists them"):
        configured_interfaces()


def test_a_missing_setting_of_a_channel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC1")
    with pytest.raises(SettingError, match="TWILIO_AUTH_TOKEN is not set"):
        configured_interfaces()


# What a flow in Telegram does not need on SQLite, once there are tables.
UNNEEDED = {
    "aiohttp",
    "alembic",
    "authlib",
    "docx",
    "googleapiclient",
    "griffe",
    "logfire",
    "mcp",
    "openai",
    "openpyxl",
    "opentelemetry",
    "procrastinate",
    "psycopg",
    "pydantic_ai",
    "pypdf",
    "slack_sdk",
    "twilio",
    "yaml",
}


def test_a_bot_imports_only_the_library_of_its_own_channel(processes: None, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("async def greet(message): ...")
    code = (
        "import sys, gateway.cli.main, gateway.app.server; from gateway.configuration.loader import load_gateway;"
        f"load_gateway('bot.py'); print(sorted({UNNEEDED | {'telegram'}} & set(sys.modules)))"
    )
    env = environment(tmp_path, TELEGRAM_BOT_TOKEN="1:ABC")
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "['telegram']\n", ended.stderr
