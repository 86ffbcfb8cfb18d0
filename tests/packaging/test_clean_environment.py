"""The built wheel works in an environment without any extra, and names the extra where one is needed."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from commands import environment
from e2e.served import ROOT
from peers.process import free_ports
from peers.wait import wait_until
from support.packages import skip_without_packages

UV = Path(sys.executable).with_name("uv")
BUILD_TIMEOUT = 100.0  # seconds; without a cache, the packages are downloaded
RUN_TIMEOUT = 60.0  # seconds

pytestmark = [pytest.mark.usefixtures("processes"), pytest.mark.long, pytest.mark.xdist_group("clean-environment")]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, processes: None) -> Path:
    """Return the folder with the programs of an environment in which only the wheel and its core are installed."""
    folder = tmp_path_factory.mktemp("clean")
    # As `python -m build` does, uv builds the source distribution, and then the wheel from it.
    _uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    _uv("venv", "--python", sys.executable, str(folder / "venv"))
    programs = folder / "venv" / "bin"
    pins = str(ROOT / "requirements.txt")
    _uv("pip", "install", "--python", str(programs / "python"), "--constraint", pins, str(wheel))
    return programs


def _uv(*arguments: str) -> None:
    ended = subprocess.run([UV, *arguments], capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    skip_without_packages(ended.stderr)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    file = tmp_path / "bot.py"
    file.write_text("async def greet(message):\n    return 'Hello!'\n")
    return file


def run(clean: Path, *command: str, directory: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clean / command[0], *command[1:]],
        cwd=directory,
        env=environment(directory, **env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT,
    )


def test_the_demonstration_runs_without_extras(clean: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with subprocess.Popen(
        [clean / "understudy", "dev", "--port", str(port)], cwd=tmp_path, env=environment(tmp_path)
    ) as demo:
        try:
            wait_until(lambda: demo.poll() is not None or _answers(f"http://127.0.0.1:{port}/readyz"), RUN_TIMEOUT)
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
        finally:
            demo.terminate()
            demo.wait(RUN_TIMEOUT)
    assert demo.returncode == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (
            {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "x"},
            "The Slack channel needs slack_bolt, which is not installed: pip install 'understudy[slack]'.",
        ),
        (
            {"TELEGRAM_BOT_TOKEN": "1:ABC"},
            "The Telegram channel needs telegram, which is not installed: pip install 'understudy[telegram]'.",
        ),
        (
            {"TWILIO_ACCOUNT_SID": "AC1"},
            "The WhatsApp channel needs twilio, which is not installed: pip install 'understudy[whatsapp]'.",
        ),
    ],
    ids=["slack", "telegram", "whatsapp"],
)
def test_a_channel_that_the_environment_sets_up_names_its_extra(
    clean: Path, agent: Path, env: dict[str, str], sentence: str
) -> None:
    ended = run(clean, "understudy", "serve", str(agent), directory=agent.parent, **env)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"understudy: {sentence}")


NEEDS = {
    "from interfaces.slack import Slack": "slack",
    "from interfaces.telegram import Telegram": "telegram",
    "from interfaces.whatsapp import WhatsApp": "whatsapp",
    "from interfaces.chatkit import ChatKit\nasync def who(request): ...\nChatKit(who)": "openai-chatkit",
    "from oauth.google import GoogleAuth": "google-workspace",
    "from toolkits.google import Gmail": "google-workspace",
    "import asyncio\nfrom toolkits.mcp import MCPServer\nasyncio.run(MCPServer(['true']).start())": "mcp",
    "from gateway.storage.connect import connect\nconnect('postgresql://localhost/understudy')": "postgres",
}

RUN_EACH = """
import json, sys
from oauth import SettingError
told = {}
for code in json.load(sys.stdin):
    try:
        exec(code, {})
    except SettingError as error:
        told[code] = str(error)
print(json.dumps(told))
"""


def test_code_that_needs_an_extra_is_told_its_name(clean: Path, tmp_path: Path) -> None:
    told = json.loads(run(clean, "python", "-c", RUN_EACH, directory=tmp_path, stdin=json.dumps(list(NEEDS))).stdout)
    assert list(told) == list(NEEDS)
    wrong = {
        code: told[code] for code, extra in NEEDS.items() if f"pip install 'understudy[{extra}]'." not in told[code]
    }
    assert wrong == {}


def test_the_settings_of_every_channel_are_named_without_its_library(clean: Path, agent: Path) -> None:
    ended = run(clean, "understudy", "serve", str(agent), directory=agent.parent)
    named = ("No channel is set up", "SLACK_BOT_TOKEN", "TELEGRAM_BOT_TOKEN", "TWILIO_WHATSAPP_FROM")
    assert [name for name in named if name not in ended.stderr] == []


def test_the_tools_for_tests_of_channels_need_no_extra(clean: Path, tmp_path: Path) -> None:
    ended = run(clean, "python", "-c", "import gateway.testing", directory=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_init_names_the_extra_of_the_channel_and_writes_nothing(clean: Path, tmp_path: Path) -> None:
    ended = run(clean, "understudy", "init", "--yes", "--channel", "telegram", directory=tmp_path)
    assert ended.returncode == 2
    assert "pip install 'understudy[telegram]'" in ended.stderr
    assert list(tmp_path.iterdir()) == []
