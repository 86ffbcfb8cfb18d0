"""Handoffs of the OpenAI Agents SDK."""

import asyncio
from pathlib import Path

from peers.aimock import Aimock, calls_tool, says
from support.agents.engines import native, tool_results
from support.stage import FakeProvider, stage

from gateway import Agent

READ = frozenset({"read"})


async def test_an_agent_acts_for_the_sender_after_a_handoff(model_server: Aimock, tmp_path: Path) -> None:
    hand_over = {"userMessage": "hand over"}
    model_server.load(
        [
            says("hand over", "done", toolResultContains="open_deep of"),
            {
                "match": {**hand_over, "toolResultContains": "assistant"},
                "response": {"toolCalls": [{"name": "open_deep", "arguments": "{}"}]},
            },
            calls_tool("hand over", "transfer_to_other"),
        ]
    )
    scene = stage(tmp_path, agent=Agent(native("openai-agents", model_server), auth=FakeProvider(), scopes=READ))
    async with scene.open():
        for person in ("alice", "bob"):
            before = len(scene.sent)
            await scene.write(person, "hand over")
            await scene.connect((await scene.wait_for(before + 1))[before].link, person)
            assert (await scene.wait_for(before + 2))[before + 1].text == "done"
    results = [result for _, result in tool_results(await asyncio.to_thread(model_server.requests))]
    assert [result for result in results if "SECRET" in result] == [
        "open_deep of alice: SECRET-alice",
        "open_deep of bob: SECRET-bob",
    ]
