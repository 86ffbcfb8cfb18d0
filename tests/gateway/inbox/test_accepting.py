"""Accepted events: which are new, and which were accepted before."""

import asyncio
import json
from pathlib import Path

from support.stage import place, stage

from gateway.channels.event import Event


def an_event(number: int, message_key: str | None = None) -> Event:
    fields = {"id": f"m{number}", "text": str(number), "person": "alice", "place": "dm-alice", "tenant": "T1"}
    return Event(f"e{number}", place("dm-alice"), json.dumps(fields), message_key)


async def test_a_second_delivery_is_answered_once_and_another_tenants_is_another_message(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        assert await scene.write("alice", "one", id="E1")
        assert not await scene.write("alice", "one", id="E1")
        assert await scene.write("alice", "two", id="E1", tenant="T2")
        await scene.wait_for(2)
        assert await scene.ask("alice", "three") == "heard: three"
    assert sorted(sent.text for sent in scene.sent) == ["heard: one", "heard: three", "heard: two"]


async def test_a_message_is_new_once_among_the_events_of_one_transaction(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    events = [
        an_event(1, message_key="M1"),
        an_event(1, message_key="M1"),  # a second delivery
        an_event(2, message_key="M1"),  # the same message, reported as another event
        an_event(3),
    ]
    async with scene.open():
        accepted = await asyncio.gather(*map(scene.gateway.host.accept, events))
        assert accepted == [True, False, False, True]
        await scene.wait_for(2)
    assert [sent.text for sent in scene.sent] == ["heard: 1", "heard: 3"]
