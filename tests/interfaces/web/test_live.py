"""The events that a window gets while a turn runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx
from peers.serving import ThreadServer
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway
from gateway.runs.events import PhaseEnded, TextDelta, ToolStarted, TurnEvent
from interfaces.web import Web
from interfaces.web.live import Update
from interfaces.web.parse import conversation_of, identity_of
from interfaces.web.present import WebPresenter
from toolkits import Message


async def echo(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "heard "
    yield f"*{messages[-1].parts[-1].content}*"


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
                told = [next(window)]
                while told[-1]["type"] != "changed":
                    told.append(next(window))
                assert [update["html"] for update in told[:-1]][-1] == f"<p>heard <em>of {person}</em></p>\n"


def updates(stream: httpx.Response) -> Iterator[dict[str, str]]:
    return (json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: "))


MESSAGE = Message(
    id="1", text="hi", sender=identity_of("alice"), sender_name="Alice", conversation=conversation_of("alice")
)


async def shown(presenter: WebPresenter, *events: TurnEvent | None) -> list[Update]:
    """Return what a window gets of events that come faster than it is told of. `None` is the end of a failed run."""
    updates = presenter.updates("alice", anyio.Event())
    first = asyncio.create_task(anext(updates))
    await asyncio.sleep(0)  # the window listens
    for event in events:
        if event is None:
            presenter.live_view(MESSAGE)
        else:
            await presenter.show(MESSAGE, event)
    presenter.close()
    return [await first, *[update async for update in updates]]


async def test_a_window_that_is_told_late_gets_the_whole_text_at_once() -> None:
    pieces = [TextDelta(piece) for piece in ("*one", " two", "*")]
    assert await shown(WebPresenter(), *pieces) == [{"type": "text", "html": "<p><em>one two</em></p>\n"}]


async def test_text_after_a_step_is_a_new_text_in_its_place() -> None:
    tool, ended = ToolStarted("1", "look", label="Look"), PhaseEnded("Search", 10)
    same = TextDelta("same")
    told = await shown(WebPresenter(), same, tool, same, ended, same)
    assert [update.get("html") or update["type"] for update in told] == [
        "<p>same</p>\n",
        "tool",
        "<p>same</p>\n",
        "phase_ended",
        "<p>same</p>\n",
    ]


async def test_a_run_that_is_tried_again_begins_a_new_text() -> None:
    presenter = WebPresenter()
    (*_, last) = await shown(presenter, TextDelta("half of"), None, TextDelta("the whole"))
    assert last["html"] == "<p>the whole</p>\n"
