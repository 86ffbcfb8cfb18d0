"""Both dispatchers play turns in order within a conversation, and concurrently in several conversations."""

from pathlib import Path

from support.gate import Gate
from support.stage import stage


async def test_a_conversation_is_answered_in_order(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for number in range(30):
            await scene.write("alice", str(number))
        await scene.wait_for(30)
    assert [sent.text for sent in scene.sent] == [f"heard: {number}" for number in range(30)]


async def test_conversations_run_concurrently_up_to_the_limit(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, max_concurrent_turns=3, database=database_url)
    async with scene.open():
        for number in range(8):
            await scene.write("alice", f"first {number}", f"dm-{number}")
            await scene.write("alice", f"second {number}", f"dm-{number}")
        await gate.holds(3)
        assert len({text.split()[1] for text in gate.running}) == 3
        assert all(text.startswith("first") for text in gate.running)
        gate.opened.set()
        await scene.wait_for(16)
    assert gate.most == 3
