"""The events that a window gets while a turn runs."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
from peers.serving import ThreadServer
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway
from interfaces.web import Web


async def echo(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "heard "
    yield str(messages[-1].parts[-1].content)


def test_a_window_gets_the_events_of_only_its_own_persons_turns(tmp_path: Path) -> None:
    agent = Agent(model=FunctionModel(stream_function=echo))
    gateway = Gateway(agent, [Web()], database=f"sqlite:///{tmp_path}/understudy.db")
    with ThreadServer(gateway.asgi()) as server, httpx.Client(base_url=server.url, timeout=10) as client:
        for person in ("alice", "bob"):
            assert client.get(f"/web/{person}/").status_code == 200
        with client.stream("GET", "/web/alice/updates") as alices, client.stream("GET", "/web/bob/updates") as bobs:
            alice, bob = updates(alices), updates(bobs)
            assert (next(alice), next(bob)) == ({"type": "changed"}, {"type": "changed"})
            for person, window in (
                ("bob", bob),
                ("alice", alice),
            ):  # if she got his events, they would come first
                client.post(f"/web/{person}/messages", json={"id": person, "text": f"of {person}"})
                told = [next(window) for _ in range(3)]
                assert "".join(update.get("text", "") for update in told) == f"heard of {person}"
                assert told[-1] == {"type": "changed"}


def updates(stream: httpx.Response) -> Iterator[dict[str, str]]:
    return (json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: "))
