"""The steps of the Dockerfile work in a clean folder: nothing is at hand but what .dockerignore lets through."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment
from e2e.served import ROOT
from peers.process import free_ports
from peers.wait import wait_until
from support.packages import skip_without_packages

from oauth import Keyring

UV = Path(sys.executable).with_name("uv")
BUILD_TIMEOUT = 110.0  # seconds; without a cache, the packages are downloaded
PROGRAMS = "/opt/understudy/bin"  # in the image

BOT = """
from gateway import Agent, Gateway
from interfaces.telegram import Telegram


async def greet(message):
    return "Hello!"


gateway = Gateway(Agent(greet), interfaces=[Telegram()])
"""


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each as its name and its arguments."""
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, arguments) for name, _, arguments in (line.partition(" ") for line in lines)]


def last(name: str) -> str:
    return [arguments for each, arguments in instructions() if each == name][-1]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, processes: None) -> Path:
    """Return the folder in which the first stage of the Dockerfile was built, with uv in place of pip for its cache."""
    folder = tmp_path_factory.mktemp("image")
    source, variables = folder / "source", {}
    source.mkdir()
    stage = instructions()
    for name, arguments in stage[: [name for name, _ in stage].index("FROM", 1)]:
        if name == "ARG":
            variable, _, value = arguments.partition("=")
            variables[variable] = value
        elif name == "COPY":
            _copy(arguments.split()[:-1], source)
        elif name == "RUN":
            command = arguments.replace(f"{PROGRAMS}/pip", f"{UV} pip").replace("--no-cache-dir ", "")
            command = command.replace("python -m venv", f"{UV} venv --python {sys.executable}")
            command = command.replace("/opt/understudy", str(folder / "understudy"))
            env = {**os.environ, **variables, "VIRTUAL_ENV": str(folder / "understudy")}
            ended = subprocess.run(
                command, shell=True, cwd=source, env=env, capture_output=True, text=True, timeout=BUILD_TIMEOUT
            )
            skip_without_packages(ended.stderr)
            assert ended.returncode == 0, ended.stderr
    return folder


def _copy(names: list[str], target: Path) -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for name in allowed if names == ["."] else names:
        assert name in allowed
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target / name)


@pytest.mark.long
def test_the_image_serves_a_bot_and_is_healthy(image: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "bot.py").write_text(BOT)
    env = environment(
        tmp_path,
        PORT=str(port),
        TELEGRAM_BOT_TOKEN="1:ABC",
        TELEGRAM_API_URL="http://127.0.0.1:1",
        UNDERSTUDY_SECRET_KEY=Keyring.generate(),
    )
    programs = image / "understudy" / "bin"
    command = [part.replace("/app", str(tmp_path)) for part in json.loads(last("CMD"))]
    check = [
        programs / part if part == "python" else part for part in json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    ]
    entry = json.loads(last("ENTRYPOINT"))
    with subprocess.Popen([programs / entry[0], *command], cwd=tmp_path, env=env) as bot:
        try:
            assert subprocess.run(check, env=env, capture_output=True, timeout=30).returncode != 0
            wait_until(lambda: subprocess.run(check, env=env, capture_output=True, timeout=30).returncode == 0, 60)
        finally:
            bot.terminate()
            bot.wait(60)
    assert bot.returncode == 0
    assert (tmp_path / "understudy.db").exists()


def test_the_image_has_no_sources_and_runs_as_nobody_in_particular() -> None:
    final = instructions()[[name for name, _ in instructions()].index("FROM", 1) :]
    assert [arguments for name, arguments in final if name == "COPY"] == [
        "--from=build /opt/understudy /opt/understudy"
    ]
    assert int(dict(final)["USER"]) > 0
