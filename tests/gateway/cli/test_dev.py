"""`understudy dev FILE`: the web chat with the operator's own agent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from commands import Command, environment, run
from peers.process import free_ports
from peers.wait import wait_until

pytestmark = pytest.mark.usefixtures("processes")

ECHO = """
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from gateway import Agent, Gateway
from interfaces.slack import Slack
from oauth.google import GoogleAuth
from toolkits.google import Gmail
echo = FunctionModel(lambda messages, info: ModelResponse([TextPart(f"heard: {messages[-1].parts[-1].content}")]))
"""
FILES = {
    "agent.yaml": "agents: {a: {use: 'flow:answer'}}",
    "agent.py": f"{ECHO}\nagent = Agent(model=echo)",
    "gateway.py": f"{ECHO}\ngateway = Gateway(Agent(model=echo, toolkits=[Gmail(auth=GoogleAuth())]), [Slack()])",
    "flow.py": "async def answer(message):\n    return f'heard: {message.text}'",
}


@contextmanager
def dev(directory: Path, file: str) -> Iterator[str]:
    """Run `understudy dev FILE`, and yield its address."""
    port = str(free_ports(1)[0])
    address = f"http://127.0.0.1:{port}"
    env = {name: value for name, value in environment(directory).items() if not name.startswith("SLACK_")}

    def is_ready() -> bool:
        assert child.poll() is None, (directory / "log.txt").read_text()
        try:
            return httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    with (directory / "log.txt").open("wb") as log:
        child = Command("dev", file, "--port", port, directory=directory, env=env, stdout=log, stderr=log)
    try:
        wait_until(is_ready, 30, "understudy dev answers")
        yield address
    finally:
        child.terminate()
        child.wait(20)


@pytest.mark.parametrize("file", FILES)
def test_people_chat_with_the_agent_of_a_file_without_the_settings_of_its_channels(tmp_path: Path, file: str) -> None:
    for name in ("flow.py", file):  # the YAML file names the flow
        (tmp_path / name).write_text(FILES[name])
    with dev(tmp_path, file) as address:
        for person in ("alice", "bob"):
            with httpx.Client(base_url=f"{address}/web/{person}", trust_env=False) as window:
                window.get("/")
                window.post("/messages", json={"id": "1", "text": f"this is {person}"})
                wait_until(lambda window=window: len(window.get("/transcript").json()) == 2, what="an answer")
                assert f"heard: this is {person}" in window.get("/transcript").json()[1]["html"]
    printed = (tmp_path / "log.txt").read_text()
    assert ("SLACK_BOT_TOKEN is not set" in printed) == (file == "gateway.py")
    assert ("GOOGLE_CLIENT_ID is not set" in printed) == (file == "gateway.py")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("from gateway import Agent\nagent = Agent()", "UNDERSTUDY_MODEL is not set"),
        ("agents: {a: {}}\ninterfaces: {telegram: }", "UNDERSTUDY_MODEL is not set"),
        ("agents: {a: {model: test, instrctions: hello}}", "bot.yaml:1:27: 'instrctions' is not a known key here"),
        ("agent = None", "has no Gateway and no Agent"),
        ("import nothing_like_that", "nothing_like_that"),
    ],
)
def test_what_keeps_a_file_from_being_tried_is_named(tmp_path: Path, content: str, error: str) -> None:
    file = "bot.yaml" if content.startswith("agents:") else "bot.py"
    (tmp_path / file).write_text(content)
    ended = run("dev", file, directory=tmp_path)
    assert ended.returncode == 2
    assert error in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_where_nothing_can_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / ".understudy").write_text("a file in its place")
    ended = run("dev", directory=tmp_path)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert "The folder .understudy cannot be created here: File exists." in ended.stderr
