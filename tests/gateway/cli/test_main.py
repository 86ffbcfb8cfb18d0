"""The command as an operator uses it: a wrong setting, a wrong file, Ctrl-C."""

import signal
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from commands import COMMAND, Command, environment, run
from e2e.served import ROOT
from peers.process import free_ports
from peers.wait import wait_until

from gateway import Agent
from gateway.configuration.loader import load_target
from oauth import Keyring, SettingError

pytestmark = pytest.mark.usefixtures("processes")


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert run("--version", directory=tmp_path).stdout == f"understudy {version('understudy')}\n"


def test_shells_complete_the_commands(tmp_path: Path) -> None:
    asked = {"_UNDERSTUDY_COMPLETE": "complete_bash", "COMP_WORDS": "understudy dead", "COMP_CWORD": "1"}
    assert run(directory=tmp_path, **asked).stdout.split() == ["deadletters"]


def test_keys_new_prints_a_key_that_encrypts(tmp_path: Path) -> None:
    printed = run("keys", "new", directory=tmp_path).stdout.strip()
    keyring = Keyring.parse(printed)
    assert keyring.decrypt(keyring.encrypt(b"x", "row"), "row") == b"x"


def test_a_recipe_without_its_settings_names_each_of_them_and_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run("serve", str(ROOT / "cookbook/slack/gmail_agent.py"), "--port", port, directory=tmp_path)
    assert ended.returncode == 2
    assert "GOOGLE_CLIENT_ID is not set" in ended.stderr
    assert "GOOGLE_CLIENT_SECRET is not set" in ended.stderr
    assert f"--port {port}: Address already in use. Stop the program that listens there" in ended.stderr
    assert ended.stderr.endswith("\nSet what is missing in the environment or in .env.\n")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, "UNDERSTUDY_MODEL is not set"),
        ({"UNDERSTUDY_MODEL": "nonsense"}, "nonsense"),
        ({"UNDERSTUDY_MODEL": "openai:gpt-5.2"}, "OPENAI_API_KEY"),
        ({"UNDERSTUDY_MODEL": "anthropic:claude-sonnet-4-5"}, "understudy[anthropic]"),
    ],
)
def test_a_model_that_cannot_be_loaded_stops_the_start(tmp_path: Path, env: dict[str, str], named: str) -> None:
    (tmp_path / "bot.py").write_text("from gateway import Agent, Gateway\ngateway = Gateway(Agent())\n")
    ended = run("serve", "bot.py", directory=tmp_path, **env)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("engine", "package"), [("langgraph", "langchain"), ("openai-agents", "agents")])
def test_an_engine_that_is_not_installed_stops_the_start(engine: str, package: str, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        f"import sys\nsys.modules[{package!r}] = None\nfrom gateway import Agent, Gateway\n"
        f"gateway = Gateway(Agent(model='openai:gpt-5.2', engine={engine!r}))\n"
    )
    ended = run("serve", "bot.py", directory=tmp_path)
    assert ended.returncode == 2
    assert f"pip install 'understudy[{engine}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("engine", ["pydantic-ai", "langgraph", "openai-agents"])
def test_a_file_with_an_agent_of_a_framework_is_taken_as_it_is(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = {
        "pydantic-ai": "from pydantic_ai import Agent\nmine = Agent('test')\n",
        "langgraph": "from langchain.agents import create_agent\nmine = create_agent('openai:gpt-5.2')\n",
        "openai-agents": "from agents import Agent\nmine = Agent(name='mine')\n",
    }[engine]
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    one, two = tmp_path / f"one_{engine}.py", tmp_path / f"two_{engine}.py"
    one.write_text(code)
    found = load_target(str(one))
    assert isinstance(found, Agent)
    assert found.engine == engine
    two.write_text(code + code.splitlines()[1].replace("mine", "other", 1))
    with pytest.raises(SettingError, match=f"say which: {two}:mine, {two}:other"):
        load_target(str(two))


GATEWAY = "from gateway import Agent, Gateway\ngateway = Gateway(Agent(model='test'))\n"

WRONG_TARGETS = {
    "a file that is not there": ("nowhere.py", "", "There is no file nowhere.py: correct the path."),
    "a directory": (".", "", "There is no file ."),
    "a file without a gateway": ("bot.py", "x = 1\n", "bot.py has no Gateway and no Agent at its top level"),
    "a file that is not Python": (
        "bot.py",
        "x = 1\ngateway = (\n",
        "bot.py:2:11: this is not Python: '(' was never closed.",
    ),
    "a file that raises": (
        "bot.py",
        "x = 1\ngateway = nothing\n",
        "bot.py:2: NameError: name 'nothing' is not defined",
    ),
    "a package that is not there": (
        "bot.py",
        "import nowhere_at_all\n",
        "bot.py:1: ModuleNotFoundError: No module named",
    ),
    "two gateways": (
        "bot.py",
        f"{GATEWAY}other = Gateway(Agent(model='test'))\n",
        "say which: bot.py:gateway, bot.py:other.",
    ),
    "a name that is not there": ("bot.py:bot", GATEWAY, "bot.py has no Gateway and no Agent called 'bot'."),
    "a name of something else": ("bot.py:Agent", GATEWAY, "bot.py has no Gateway and no Agent called 'Agent'."),
    "neither Python nor YAML": (
        "bot.txt",
        "hello\n",
        "bot.txt is neither a Python file (.py) nor a YAML file (.yaml).",
    ),
    "a YAML file and a name": (
        "bot.yaml:gateway",
        "agents: {}\n",
        "bot.yaml describes one gateway: leave out :gateway",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_TARGETS)
def test_a_wrong_target_is_reported_in_one_sentence(wrong: str, tmp_path: Path) -> None:
    target, code, sentence = WRONG_TARGETS[wrong]
    if code:
        (tmp_path / target.partition(":")[0]).write_text(code)
    ended = run("serve", target, directory=tmp_path)
    assert ended.returncode == 2
    assert sentence in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_line_of_an_imported_module_that_raises_is_named(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(f"import tools\n{GATEWAY}")
    (tmp_path / "tools.py").write_text("import json\njson.loads('{')\n")
    assert "tools.py:2: JSONDecodeError" in run("check", "bot.py", directory=tmp_path).stderr


def test_audit_reads_the_database_of_dev_and_says_so(tmp_path: Path) -> None:
    missing = run("audit", directory=tmp_path)
    assert missing.returncode == 2
    assert (
        "The database (UNDERSTUDY_DATABASE_URL is not set) is understudy.db, which does not exist. Run the"
        in missing.stderr
    )
    (tmp_path / ".understudy").mkdir()
    run("db", "upgrade", directory=tmp_path, UNDERSTUDY_DATABASE_URL="sqlite:///.understudy/dev.db")
    found = run("audit", directory=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "this is .understudy/dev.db, the database of `understudy dev`" in found.stderr
    named = run("audit", directory=tmp_path, UNDERSTUDY_DATABASE_URL="sqlite:///other.db")
    assert "The database (UNDERSTUDY_DATABASE_URL) is other.db, which does not exist." in named.stderr


def test_a_worker_without_postgresql_does_not_name_a_variable_that_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(GATEWAY)
    ended = run("worker", "bot.py", directory=tmp_path)
    assert ended.returncode == 2
    assert "The database (UNDERSTUDY_DATABASE_URL is not set) is a SQLite file" in ended.stderr


def test_a_toolkit_that_cannot_be_cloned_stops_the_start_by_name(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "import threading\n"
        "from gateway import Agent, Gateway\n"
        "from toolkits import Toolkit\n"
        "class Counter(Toolkit):\n"
        "    def __init__(self):\n"
        "        self.lock = threading.Lock()\n"
        "gateway = Gateway(Agent(model='test', toolkits=[Counter()]))\n"
    )
    ended = run("serve", "bot.py", directory=tmp_path)
    assert ended.returncode == 2
    assert "Counter.lock cannot be cloned" in ended.stderr


def test_an_operators_file_may_have_the_name_of_a_package_and_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("NAME = 'hello'\n")
    (tmp_path / "gateway.py").write_text(
        "from gateway import Agent\nimport neighbour\nagent = Agent(model='test', name=neighbour.NAME)\n"
    )
    ended = run("serve", str(tmp_path / "gateway.py"), directory=tmp_path.parent)
    assert ended.returncode == 2
    assert "No channel is set up" in ended.stderr


@pytest.mark.parametrize("package", ["gateway", "interfaces", "oauth", "toolkits"])
def test_an_operators_module_that_python_finds_before_a_package_is_named(package: str, tmp_path: Path) -> None:
    """As with `python -m`, PYTHONPATH makes Python look in the working directory first."""
    (tmp_path / f"{package}.py").write_text("")
    (tmp_path / "bot.py").write_text(f"from interfaces.web import Web\n{GATEWAY}")
    # A new process, since a fork of the zygote has already imported Understudy's packages.
    ended = subprocess.run(
        [COMMAND, "serve", "bot.py"],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert f"{tmp_path}/{package}.py hides Understudy's package {package!r}" in ended.stderr
    assert f"my_{package}.py" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_web_chat_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "from gateway import Agent, Gateway\n"
        "from interfaces.web import Web\n"
        "gateway = Gateway(Agent(model='test'), [Web()])\n"
    )
    ended = run("serve", "bot.py", directory=tmp_path)
    assert ended.returncode == 2
    assert "understudy dev" in ended.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    port = str(free_ports(1)[0])
    first = subprocess.Popen([COMMAND, "dev", "--port", port], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port), 30, "the first one answers")
        (tmp_path / "other").mkdir()
        ended = run("dev", "--port", port, directory=tmp_path / "other")
        assert ended.returncode == 2
        assert port in ended.stderr
    finally:
        first.terminate()
        first.wait(20)


def test_ctrl_c_ends_dev_cleanly_while_a_window_is_open(tmp_path: Path) -> None:
    port = str(free_ports(1)[0])
    log = (tmp_path / "log.txt").open("w+")
    child = subprocess.Popen([COMMAND, "dev", "--port", port], cwd=tmp_path, stderr=log)
    try:
        wait_until(lambda: _answers(port), 30, "dev answers")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/web/alice", trust_env=False) as window:
            window.get("/")
            with window.stream("GET", "/updates") as updates:
                assert next(updates.iter_text())
                child.send_signal(signal.SIGINT)
                assert child.wait(8) == 0
    finally:
        child.kill()
        log.seek(0)
        printed = log.read()
        log.close()
    assert "Traceback" not in printed
    assert f"http://127.0.0.1:{port}" in printed


MAIL = """
from gateway import Agent, Gateway
from oauth.google import GoogleAuth
from toolkits.google import Gmail
gateway = Gateway(Agent(model='test', toolkits=[Gmail(auth=GoogleAuth('id', 'secret'))]))
"""


def test_without_a_public_address_people_on_this_machine_can_sign_in(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(MAIL)
    port, log = str(free_ports(1)[0]), tmp_path / "log.txt"
    env = environment(tmp_path, UNDERSTUDY_SECRET_KEY=Keyring.generate())
    with log.open("wb") as output:
        child = Command("serve", "bot.py", "--port", port, directory=tmp_path, env=env, stdout=output, stderr=output)
        try:
            wait_until(lambda: _answers(port), 30, "it answers")
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0
    assert f"Sign-in links lead to http://localhost:{port}, as UNDERSTUDY_BASE_URL is not set" in log.read_text()


@pytest.mark.parametrize("command", [["serve", "bot.py", "--host", "127.0.0.2"], ["worker", "bot.py"]])
def test_people_cannot_sign_in_where_no_address_of_the_gateway_is_known(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(MAIL)
    env = {"UNDERSTUDY_SECRET_KEY": Keyring.generate(), "UNDERSTUDY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/no"}
    ended = run(*command, directory=tmp_path, **env)
    assert ended.returncode == 2
    assert "UNDERSTUDY_BASE_URL is not set. People who sign in are sent back there" in ended.stderr


def _answers(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
