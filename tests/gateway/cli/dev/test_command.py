"""`understudy dev FILE`: the web chat with the operator's own agent."""

from pathlib import Path

import pytest
from commands import run
from support.dev import dev, transcript

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


@pytest.mark.parametrize("file", FILES)
def test_people_chat_with_the_agent_of_a_file_without_the_settings_of_its_channels(tmp_path: Path, file: str) -> None:
    for name in ("flow.py", file):  # the YAML file names the flow
        (tmp_path / name).write_text(FILES[name])
    with dev(tmp_path, file, "--no-reload") as running:
        for person in ("alice", "bob"):
            with running.window(person) as window:
                window.post("/messages", json={"id": "1", "text": f"this is {person}"})
                assert f"heard: this is {person}" in transcript(window, 2)[1]["html"]
                assert window.get("/steps").json()[0]["outcome"] == "answered"
    printed = running.printed()
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
    ended = run("dev", file, "--no-reload", directory=tmp_path)
    assert ended.returncode == 2
    assert error in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_where_nothing_can_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / ".understudy").write_text("a file in its place")
    ended = run("dev", directory=tmp_path)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert "The folder .understudy cannot be created here: File exists." in ended.stderr
