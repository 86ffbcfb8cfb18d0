"""`understudy doctor` as an operator runs it: its lines, its JSON and its exit status."""

import json
from pathlib import Path

import pytest
from commands import run
from peers.process import free_ports
from peers.telegram.server import BOT_TOKEN, TelegramServer

pytestmark = pytest.mark.usefixtures("processes")

BOT = (
    "from gateway import Agent, Gateway\nfrom interfaces.telegram import Telegram\n"
    "gateway = Gateway(Agent(model='test'), [Telegram()])\n"
)


def test_a_set_up_with_a_problem_ends_with_status_1(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    ended = run("doctor", "bot.py", directory=tmp_path, TELEGRAM_BOT_TOKN="1:x")
    assert ended.returncode == 1, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("problem  settings           TELEGRAM_BOT_TOKEN is not set.")
    assert lines[1].startswith("warning  names of settings  TELEGRAM_BOT_TOKN is no setting. If TELEGRAM_BOT_TOKEN is")
    assert all(line.split()[0] in ("ok", "warning", "problem") for line in lines)
    assert ended.stderr == ""
    as_json = json.loads(run("doctor", "bot.py", "--json", directory=tmp_path).stdout.splitlines()[0])
    assert (as_json["subject"], as_json["setting"]) == ("settings", "TELEGRAM_BOT_TOKEN")


def test_a_set_up_without_problems_ends_with_status_0(tmp_path: Path, telegram: TelegramServer) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    env = {"TELEGRAM_BOT_TOKEN": BOT_TOKEN, "TELEGRAM_API_URL": telegram.url}
    (port,) = free_ports(1)
    ended = run("doctor", "bot.py", "--json", "--port", str(port), directory=tmp_path, **env)
    assert ended.returncode == 0, ended.stdout
    found = {each["subject"]: each for each in map(json.loads, ended.stdout.splitlines())}
    assert found["telegram webhook"]["mark"] == "ok"
    assert found["telegram webhook"]["text"] == "The gateway polls Telegram and needs no webhook."
    assert found["port"]["text"] == f"{port} is free."
    assert BOT_TOKEN not in ended.stdout


def test_a_wrong_file_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    ended = run("doctor", "nowhere.py", directory=tmp_path)
    assert ended.returncode == 1
    assert "There is no file nowhere.py: correct the path." in ended.stdout
    assert ended.stderr == ""


def test_a_file_may_run_an_event_loop_while_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(f"import asyncio\nasyncio.run(asyncio.sleep(0))\n{BOT}")
    assert "asyncio.run" not in run("doctor", "bot.py", directory=tmp_path).stdout
