"""Serve the recipes of the cookbook that are a YAML file, a flow, or agents of several engines."""

import re
from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.people import ChannelPerson
from e2e.served import ROOT
from peers.aimock import Aimock, calls_tool, says
from peers.emulate.server import Emulate
from peers.wait import wait_until

MODEL = {"UNDERSTUDY_MODEL": "openai-chat:gpt-5.2", "OPENAI_API_KEY": "none"}


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    return "telegram"


def answered(person: ChannelPerson, text: str) -> None:
    wait_until(lambda: any(text in said for said in person.seen()), what=f"{person.person.name} is told {text!r}")


def test_a_file_with_two_agents_keeps_each_persons_notes_apart(
    serve: Serve, aimock: Aimock, alice: ChannelPerson, bob: ChannelPerson, tmp_path: Path
) -> None:
    aimock.load(
        [
            says("keep", "I kept it.", hasToolResult=True),
            calls_tool("keep milk", "add_note", {"text": "milk"}),
            calls_tool("keep bread", "add_note", {"text": "bread"}),
            says("hello", "I am the one for mail."),
        ]
    )
    served = serve(ROOT / "cookbook" / "yaml" / "gateway.yaml", OPENAI_BASE_URL=aimock.base_url, **MODEL)
    alice.write("/notes keep milk")
    bob.write("/notes keep bread")
    for person in (alice, bob):
        answered(person, "I kept it.")
    files = sorted((served.database.parent / "notes").iterdir())
    assert [file.read_text() for file in files] in (["milk\n", "bread\n"], ["bread\n", "milk\n"])
    assert all(re.fullmatch(r"telegram-\d+-\d+\.txt", file.name) for file in files)
    alice.write("hello")
    answered(alice, "I am the one for mail.")
    told = str(aimock.requests()[-1])
    assert re.search(r"You help \d+ with their mail", told)
    assert "search_messages" in told


@pytest.mark.parametrize("channel", ["slack"])
def test_a_flow_with_phases_stores_only_its_answer_in_the_history(
    channel: str, serve: Serve, emulate: Emulate, aimock: Aimock, alice: ChannelPerson
) -> None:
    aimock.load(
        [
            says("What was found out", "Rome was founded in 753 BC."),
            says("Who founded it?", "Romulus, it is told."),
            says("When was it?", "In 753 BC, it is told."),
            says("rome", "When was it?\nWho founded it?"),
        ]
    )
    served = serve(ROOT / "cookbook" / "research" / "research_bot.py", OPENAI_BASE_URL=aimock.base_url, **MODEL)
    alice.write("tell me of rome")
    answered(alice, "Rome was founded in 753 BC.")
    assert served.rows("SELECT role, text FROM session_items ORDER BY id") == [
        ("user", "tell me of rome"),
        ("assistant", "Rome was founded in 753 BC."),
    ]


@pytest.mark.parametrize("channel", ["slack"])
def test_one_flow_calls_an_agent_of_each_engine(
    channel: str, serve: Serve, aimock: Aimock, alice: ChannelPerson
) -> None:
    aimock.load([says("how are you", "Well.")])
    model = {**MODEL, "UNDERSTUDY_MODEL": "openai:gpt-5.2"}
    serve(ROOT / "cookbook" / "engines" / "three_engines.py", OPENAI_BASE_URL=aimock.base_url, **model)
    alice.write("how are you?")
    for engine in ("pydantic-ai", "langgraph", "openai-agents"):
        answered(alice, f"*{engine}*: Well.")
