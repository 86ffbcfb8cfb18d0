"""`understudy check` and its pytest fixture, as an operator uses them: offline, with nothing set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import commands
import pytest

pytestmark = pytest.mark.processes

LEAKY = '''
CACHE = {}

class Notes(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note."""
        CACHE.setdefault(context.conversation.id, []).append(text)
        return "noted"
'''


CLEAN = '''
class Notes(Toolkit):
    def __init__(self) -> None:
        self.cache = []

    @tool
    def note(self, text: str) -> str:
        """Note."""
        self.cache.append(text)
        return str(self.cache)
'''


HEAD = "from gateway import Agent, Gateway, TurnContext\nfrom toolkits import Toolkit, tool\n"


AGENT = "\nagent = Agent(model='openai:gpt-5.2', toolkits=[Notes()])\n"


def run_pytest(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def check(directory: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "bot.py").write_text(HEAD + code)
    return commands.run("check", "bot.py", *options, directory=directory)


def test_a_leak_is_reported_with_its_path_and_status_one(tmp_path: Path) -> None:
    ended = check(tmp_path, LEAKY + AGENT)
    assert ended.returncode == 1
    assert "1 leaks. Played: 53 turns of 6 people, 1 tools of 1 toolkits." in ended.stdout
    assert "Notes.note: bot.CACHE[" in ended.stdout
    assert "context.identity" in ended.stdout  # what to do


def test_without_a_leak_the_status_is_zero_and_the_gaps_are_named(tmp_path: Path) -> None:
    ended = check(tmp_path, CLEAN + AGENT)
    assert ended.returncode == 0, ended.stdout
    assert "No leak found." in ended.stdout
    assert "Not covered:" in ended.stdout
    assert "the network was blocked" in ended.stdout


def test_a_gateway_is_checked_by_its_agent_and_the_report_is_also_json(tmp_path: Path) -> None:
    code = LEAKY + AGENT.replace("openai:gpt-5.2", "test") + "gateway = Gateway(agent)\n"
    ended = check(tmp_path, code, "--json")
    assert ended.returncode == 1, ended.stderr
    (leak,) = json.loads(ended.stdout)["leaks"]
    assert (leak["toolkit"], leak["tool"]) == ("Notes", "note")


@pytest.mark.parametrize(
    ("clone", "named"),
    [
        ("return self", "it returned the toolkit itself"),
        ("return None", "it returned a 'NoneType'"),
        ("raise ValueError('no')", "it raised ValueError('no')"),
        ("c = super().clone(); c.cache = self.cache; return c", "Notes.cache"),
    ],
)
def test_a_wrong_clone_method_stops_the_check_with_status_two(clone: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(f"{HEAD}{CLEAN}\n    def clone(self):\n        {clone}\n{AGENT}")
    ended = commands.run("check", "bot.py", directory=tmp_path)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Every person gets a copy of Notes" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_tool_that_does_not_end_is_named_and_does_not_stop_the_check(tmp_path: Path) -> None:
    body = "import time\n        time.sleep(3600)\n        return 'x'"
    ended = check(tmp_path, CLEAN.replace("return str(self.cache)", body) + AGENT)
    assert ended.returncode == 0, ended.stdout
    assert "note did not end within 2 seconds" in ended.stdout


def test_a_tool_cannot_connect_to_another_machine(tmp_path: Path) -> None:
    code = "import socket\n        socket.create_connection(('example.com', 80), timeout=1)\n        return 'reached'"
    ended = check(tmp_path, CLEAN.replace("return str(self.cache)", code) + AGENT)
    assert ended.returncode == 0, ended.stdout
    assert "note past the point where it raised OSError" in ended.stdout


def test_the_fixture_fails_a_test_with_the_report(tmp_path: Path) -> None:
    (tmp_path / "leaky_bot.py").write_text(HEAD + LEAKY + AGENT)
    (tmp_path / "clean_bot.py").write_text(HEAD + CLEAN + AGENT)
    (tmp_path / "test_bot.py").write_text(
        "import asyncio\nimport clean_bot, leaky_bot\n\n"
        "def test_leaky(no_leaks):\n    no_leaks(leaky_bot.agent)\n\n"
        "def test_clean(no_leaks):\n    no_leaks(clean_bot.agent)\n\n"
        "def test_in_a_loop(no_leaks):\n"
        "    async def main():\n        no_leaks(clean_bot.agent)\n    asyncio.run(main())\n"
    )
    ended = run_pytest(tmp_path)
    assert "1 failed, 2 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "leaky_bot.CACHE[" in ended.stdout


def test_the_plugin_costs_a_test_run_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\ndef test_nothing():\n    assert 'gateway' not in sys.modules\n"
    )
    assert run_pytest(tmp_path).returncode == 0


NOTES_IN_STORE = """
from langchain.agents import create_agent
from langchain.tools import ToolRuntime, tool
from langchain_core.language_models import FakeListChatModel
from langgraph.store.memory import InMemoryStore

@tool
async def note(text: str, runtime: ToolRuntime[TurnContext]) -> str:
    "Notes, and tells what was noted."
    who, place = runtime.context.identity, runtime.context.conversation
    namespace = ("notes", *NAMESPACE)
    await runtime.store.aput(namespace, text, {"text": text})
    return str([item.value for item in await runtime.store.asearch(namespace)])

graph = create_agent(FakeListChatModel(responses=["x"]), [note], context_schema=TurnContext, store=InMemoryStore())
agent = Agent(graph, name="mine")
"""


@pytest.mark.parametrize(("namespace", "leaks"), [("[who.channel, who.tenant, who.user_id]", 0), ("[place.id]", 1)])
def test_a_tool_that_uses_the_store_of_its_graph_is_played(namespace: str, leaks: int, tmp_path: Path) -> None:
    ended = check(tmp_path, NOTES_IN_STORE.replace("NAMESPACE", namespace))
    assert ended.returncode == leaks, ended.stdout + ended.stderr
    assert "note past the point" not in ended.stdout
    assert ("the result of note" in ended.stdout) == bool(leaks)


def test_an_agent_of_which_nothing_was_played_is_not_reported_as_free_of_leaks(tmp_path: Path) -> None:
    ended = check(tmp_path, "agent = Agent(model='test')\n")
    assert ended.returncode == 2
    assert "Nothing was played" in ended.stdout
    assert "No leak" not in ended.stdout
    (tmp_path / "test_bot.py").write_text("import bot\n\ndef test_it(no_leaks):\n    no_leaks(bot.agent)\n")
    assert "Nothing was played" in run_pytest(tmp_path).stdout
