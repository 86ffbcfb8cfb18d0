"""Graphs that are built by hand, without `create_agent`."""

from pathlib import Path

import pytest
from langgraph.graph import END, START, StateGraph
from peers.aimock import Aimock
from support.agents.engines import Errand, graph_with_subgraph
from support.stage import FakeProvider, stage

from gateway import Agent, Gateway, SettingError

TURNS = 20
READ = frozenset({"read"})


async def test_a_sub_graph_with_its_own_state_acts_for_the_sender(model_server: Aimock, tmp_path: Path) -> None:
    scene = stage(tmp_path, agent=Agent(graph_with_subgraph(None), auth=FakeProvider(), scopes=READ))
    async with scene.open():
        for person in ("alice", "bob"):
            before = len(scene.sent)
            await scene.write(person, "fetch")
            await scene.connect((await scene.wait_for(before + 1))[before].link, person)
            await scene.wait_for(before + 2)
        before = len(scene.sent)
        for number in range(TURNS):
            for person in ("alice", "bob"):
                await scene.write(person, "fetch", f"dm-{person}-{number}")
        answers = (await scene.wait_for(before + 2 * TURNS))[before:]
    for answer in answers:
        person = answer.conversation.split("-")[1]
        assert answer.text == f"open_subgraph of {person}: SECRET-{person}"


def test_a_graph_without_messages_is_refused(tmp_path: Path) -> None:
    graph = StateGraph(Errand)
    graph.add_node("fetch", lambda state: {"brought": []})
    graph.add_edge(START, "fetch")
    graph.add_edge("fetch", END)
    with pytest.raises(SettingError, match="'messages'"):
        Gateway(graph.compile(), database=f"sqlite:///{tmp_path}/x.db")
