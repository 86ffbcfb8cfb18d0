"""The request context: which tasks and threads see its values, and for how long."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from support.stage import place, stage

from gateway import Identity, Message
from gateway.executor import equip_loop
from gateway.request_context import (
    carry,
    clear_request_context,
    get_from_context,
    get_request_context,
    request_context,
    set_request_context,
    update_request_context,
)
from toolkits import Toolkit, tool

NAMES = ["REFERENCE", "CHANNEL", "TENANT", "CONVERSATION_ID", "SESSION_ID", "USER_ID", "USER_NAME"]


def test_values_are_set_read_added_and_removed() -> None:
    with request_context({"A": 1}):
        assert get_from_context("A") == 1
        assert get_from_context("B") is None
        assert get_from_context("B", "other") == "other"
        update_request_context(B=2)
        assert get_request_context() == {"A": 1, "B": 2}
        set_request_context({"C": 3})
        assert get_request_context() == {"C": 3}
        clear_request_context()
        assert get_request_context() == {}
    assert get_request_context() == {}


def test_a_block_adds_values_and_always_restores_those_from_before() -> None:
    with request_context({"A": 1, "B": 1}):
        with suppress(RuntimeError), request_context({"A": 2}):
            update_request_context(B=2, C=2)
            raise RuntimeError
        assert get_request_context() == {"A": 1, "B": 1}


def test_the_mapping_of_values_is_read_only() -> None:
    given = {"A": 1}
    with request_context(given):
        given["A"] = 2
        assert get_from_context("A") == 1
        with pytest.raises(TypeError):
            get_request_context()["A"] = 2  # type: ignore[index]
    with pytest.raises(TypeError):
        get_request_context()["A"] = 2  # type: ignore[index]


async def test_a_task_sees_the_values_from_its_start_and_changes_them_for_itself() -> None:
    async def work(number: int) -> list[Any]:
        update_request_context(NUMBER=number)
        await asyncio.sleep(0)
        return [get_from_context("A"), get_from_context("NUMBER")]

    with request_context({"A": 1}):
        assert await asyncio.gather(*(work(number) for number in range(50))) == [[1, number] for number in range(50)]
        assert get_request_context() == {"A": 1}


async def test_threads_see_the_values_and_those_of_other_pools_by_carry() -> None:
    equip_loop()
    loop = asyncio.get_running_loop()
    with request_context({"A": 1}), ThreadPoolExecutor(2) as pool:
        assert await asyncio.to_thread(get_from_context, "A") == 1
        assert await loop.run_in_executor(None, get_from_context, "A") == 1
        assert await loop.run_in_executor(pool, get_from_context, "A") is None
        carried = carry(get_from_context)
        assert await asyncio.gather(*(loop.run_in_executor(pool, carried, "A") for _ in range(20))) == [1] * 20


async def test_a_task_that_outlives_a_block_no_longer_sees_its_values() -> None:
    over, seen = asyncio.Event(), list[Any]()

    async def late() -> None:
        with request_context({"C": 3}):
            await over.wait()
            seen.append(get_request_context())
        seen.append(get_request_context())

    with request_context({"A": 1}):
        with request_context({"B": 2}):
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        over.set()
        await task
    assert seen == [{"A": 1, "B": 2, "C": 3}, {"A": 1}]


def test_a_block_that_ends_in_another_context_leaves_nothing() -> None:
    block = request_context({"A": 1})
    context = copy_context()
    context.run(block.__enter__)
    block.__exit__(None, None, None)
    assert context.run(get_request_context) == {}


class Looking(Toolkit):
    _clone_shared_attrs = ("late",)

    def __init__(self) -> None:
        self.late: list[asyncio.Task[Any]] = []

    @tool
    def look_in_a_thread(self) -> list[Any]:
        """Look up who asks."""
        return [get_from_context(name) for name in NAMES]

    @tool
    async def look(self) -> list[Any]:
        """Look up who asks, now and later."""

        async def later() -> Any:
            while get_from_context("USER_ID") is not None:
                await asyncio.sleep(0.01)
            return get_request_context()

        self.late.append(asyncio.create_task(later()))
        return [get_from_context(name) for name in NAMES]


@pytest.mark.parametrize("call", ["look", "look_in_a_thread"])
async def test_the_gateway_sets_the_values_of_each_turn(tmp_path: Path, call: str) -> None:
    toolkit = Looking()
    scene = stage(tmp_path, [toolkit])
    async with scene.open():
        with request_context({"HOST": "someone's"}):
            answer = await scene.ask("alice", f"call {call}")
        reference, conversation = scene.rows("SELECT reference, conversation_id FROM inbox")[0]
        seen = f'["{reference}","stage","T1","dm-alice","{conversation}","alice","Alice"]'
        assert answer == seen
        assert "alice" in await scene.ask("alice", f"call {call}")
        async with asyncio.timeout(10):
            assert [await task for task in toolkit.late] == [{}] * len(toolkit.late)


async def test_a_host_application_adds_values_of_its_own(tmp_path: Path) -> None:
    class Plans(Toolkit):
        @tool
        def plan(self) -> str:
            """Tell the plan."""
            return f"{get_from_context('PLAN')} of {get_from_context('USER_ID')}"

    scene = stage(tmp_path, [Plans()], request_values=lambda message: {"PLAN": message.sender_name, "USER_ID": "no"})
    async with scene.open():
        assert await scene.ask("alice", "call plan") == "Alice of alice"
        sender = Identity("stage", "T1", "bob")
        message = Message(id="1", text="call plan", sender=sender, sender_name="Bob", conversation=place("dm-bob"))
        with request_context({"OTHER": 1}):
            assert await scene.gateway.run(message) == "Bob of bob"
            assert get_request_context() == {"OTHER": 1}


async def test_a_failing_host_application_ends_the_message_with_a_sentence(tmp_path: Path) -> None:
    def values(message: Message) -> dict[str, str]:
        raise KeyError(message.text)

    scene = stage(tmp_path, request_values=values)
    async with scene.open():
        assert "reference" in await scene.ask("alice", "hello")
    assert scene.rows("SELECT status FROM inbox") == [("dead",)]
