"""The stored state of a graph: it is restored, and reading it runs no code, whatever is in the database."""

import asyncio
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from peers.aimock import Aimock, calls_tool, says
from pydantic import BaseModel
from support.agents.engines import model
from support.stage import Stage, stage, stage_timings

from gateway import Agent
from toolkits import Toolkit, tool


@dataclass
class Gate:
    """A gate at which a turn waits until the gateway has been stopped and started again."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        self.reached.set()
        await self.open.wait()

    def __deepcopy__(self, memo: object) -> "Gate":
        raise AssertionError("a gate is shared, not copied")


@dataclass
class Errand:
    shop: str


class Basket(BaseModel):
    errand: Errand
    items: list[str]


class Undeclared(BaseModel):
    word: str


class State(MessagesState):
    basket: Basket
    anything: Any


def shopping_graph(gate: Gate) -> Any:
    """Return a graph that fills its state in one node, and waits at the gate in the next."""

    def fill(state: State) -> dict[str, Any]:
        return {"basket": Basket(errand=Errand("corner"), items=["milk"]), "anything": Undeclared(word="kept")}

    async def pay(state: State) -> dict[str, Any]:
        await gate.wait()
        kinds = [type(each).__name__ for each in (state["basket"], state["basket"].errand, state["anything"])]
        return {"messages": [AIMessage(" ".join(kinds))]}

    graph = StateGraph(State)
    graph.add_node("fill", fill)
    graph.add_node("pay", pay)
    graph.add_edge(START, "fill")
    graph.add_edge("fill", "pay")
    graph.add_edge("pay", END)
    return graph.compile()


class Waiting(Toolkit):
    _clone_shared_attrs = ("gate",)

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    @tool(read_only=True)
    async def wait(self) -> str:
        """Wait."""
        await self.gate.wait()
        return "waited"


async def stopped_scene(kind: str, server: Aimock, directory: Path, gate: Gate) -> Stage:
    """Return a gateway that was stopped while a turn waited at the gate."""
    if kind == "native":
        agent = Agent(shopping_graph(gate))
    else:
        server.load([says("go", "done", hasToolResult=True), calls_tool("go", "wait")])
        agent = Agent(model=model("langgraph", server), engine="langgraph", toolkits=[Waiting(gate)])
    scene = stage(directory, agent=agent, timings=stage_timings(shutdown_grace=0.1, longest_pause=0.05))
    async with scene.open():
        await scene.write("alice", "go")
        await gate.reached.wait()
    gate.open.set()
    return scene


def touching(marker: Path) -> ormsgpack.Ext:
    """Return the output of LangGraph's serializer for an object, changed so that reading it creates the marker."""
    return ormsgpack.Ext(0, ormsgpack.packb(("os", "system", f"touch {marker}")))


def as_state(value: Any) -> str:
    return f"msgpack:{b64encode(ormsgpack.packb(value)).decode()}"


@pytest.mark.parametrize("place", ["outside", "channel"])
@pytest.mark.parametrize("kind", ["own", "native"])
async def test_a_stored_state_cannot_run_a_command(
    kind: str, place: str, aimock: Aimock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene, marker = await stopped_scene(kind, aimock, tmp_path, Gate()), tmp_path / "marker"
    if place == "outside":
        forged = as_state({"history": [touching(marker)]})
    else:
        ((data,),) = scene.rows("SELECT data FROM turn_responses")
        kept = ormsgpack.unpackb(b64decode(data.partition(":")[2]), option=ormsgpack.OPT_NON_STR_KEYS)
        blob = ["msgpack", ormsgpack.packb([touching(marker)])]
        kept["blobs"] = [[key, blob if key[2] == "messages" else value] for key, value in kept["blobs"]]
        forged = as_state(kept)
    scene.rows(f"UPDATE turn_responses SET data = '{forged}'")
    async with scene.open():
        await scene.wait_for(1)
    assert not marker.exists()
    assert "names os.system, which its graph does not declare" in caplog.text


async def test_a_state_in_the_json_format_is_refused(
    aimock: Aimock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await stopped_scene("own", aimock, tmp_path, Gate())
    constructor = b'{"lc": 1, "type": "constructor", "id": ["langchain_core", "messages", "AIMessage"], "kwargs": {}}'
    scene.rows(f"UPDATE turn_responses SET data = 'json:{b64encode(constructor).decode()}'")
    async with scene.open():
        assert "something went wrong" in (await scene.wait_for(1))[0].text
    assert "a stored LangGraph state is in the JSON format, which is not read" in caplog.text


async def test_declared_classes_are_restored_and_others_become_plain_data(
    aimock: Aimock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await stopped_scene("native", aimock, tmp_path, Gate())
    async with scene.open():
        assert (await scene.wait_for(1))[0].text == "Basket Errand dict"
    assert f"names {__name__}.Undeclared, which its graph does not declare" in caplog.text
