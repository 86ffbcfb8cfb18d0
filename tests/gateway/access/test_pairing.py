"""A stranger gets a code, and an operator who approves it admits them."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest
from support.stage import TENANT, Stage, stage

from gateway import Identity, SettingError
from gateway.access.entries import AccessList, Entry
from gateway.access.pairing import ADMITTED, MOST_OPEN, NOT_ADMITTED, AccessRequests
from gateway.channels import AccessPolicy

ALICE = Identity("stage", TENANT, "alice")
CODE = re.compile(r"\b[A-Z2-9]{6}\b")


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Stage:
    made = stage(tmp_path, database=database_url)
    made.channel.access = AccessPolicy.PAIRING
    return made


def requests(scene: Stage) -> AccessRequests:
    return AccessRequests(scene.gateway.parts.backend.database)


async def code_for(scene: Stage, person: str, text: str = "hello") -> str:
    """Write as a stranger, and return the code that they are told."""
    return CODE.findall(await scene.ask(person, text))[0]


async def test_a_stranger_is_told_a_code_once_and_is_admitted_by_it(scene: Stage) -> None:
    async with scene.open():
        code = await code_for(scene, "alice")
        for _ in range(3):
            assert not await scene.write("alice", "my secret plan")
        assert [(each.code, each.user_id) for each in await requests(scene).pending()] == [(code, "alice")]
        assert await requests(scene).approve(f" {code.lower()} ") == ALICE
        assert (await scene.wait_for(2))[1].text == ADMITTED
        assert await scene.ask("alice", "hello again") == "heard: hello again"
    assert {sent.conversation for sent in scene.sent} == {"dm-alice"}
    assert scene.rows("SELECT count(*) FROM inbox") == [(1,)]


async def test_a_code_works_once(scene: Stage) -> None:
    async with scene.open():
        code = await code_for(scene, "alice")
        await requests(scene).approve(code)
        with pytest.raises(SettingError, match=f"no open code {code}"):
            await requests(scene).approve(code)
        assert len(await AccessList(scene.gateway.parts.backend.database).find()) == 1


async def test_a_wrong_code_admits_nobody(scene: Stage) -> None:
    async with scene.open():
        await code_for(scene, "alice")
        for wrong in ("AAAAAA", "", "%"):
            with pytest.raises(SettingError, match="no open code"):
                await requests(scene).approve(wrong)
        assert await AccessList(scene.gateway.parts.backend.database).find() == []


async def test_a_code_expires_and_the_person_gets_another_one_when_they_write_again(scene: Stage) -> None:
    async with scene.open():
        first = await code_for(scene, "alice")
        await scene.change("UPDATE access_requests SET expires_at = '2020-01-01 00:00:00.000000'")
        assert await requests(scene).pending() == []
        with pytest.raises(SettingError, match="no open code"):
            await requests(scene).approve(first)
        second = await code_for(scene, "alice", "again")
        assert second != first
        assert await requests(scene).approve(second) == ALICE


async def test_few_codes_are_open_at_once(scene: Stage) -> None:
    async with scene.open():
        for number in range(MOST_OPEN + 5):
            await scene.write(f"p{number}", "hello")
        await scene.wait_for(MOST_OPEN)
        assert len(await requests(scene).pending()) == MOST_OPEN
        await scene.change("UPDATE access_requests SET expires_at = '2020-01-01 00:00:00.000000'")
        await code_for(scene, "alice")
        assert [each.user_id for each in await requests(scene).pending()] == ["alice"]
    assert scene.rows("SELECT count(*) FROM access_requests") == [(1,)]


async def test_a_stranger_who_writes_many_messages_at_once_is_told_one_code(scene: Stage) -> None:
    async with scene.open():
        await asyncio.gather(*(scene.write(person, "hello") for person in ("alice", "bob") * 20))
        await scene.wait_for(2)
    assert Counter(sent.conversation for sent in scene.sent) == {"dm-alice": 1, "dm-bob": 1}


async def test_a_stranger_in_a_group_is_told_no_code(scene: Stage) -> None:
    async with scene.open():
        assert not await scene.write("alice", "hello", "group")
        assert await requests(scene).pending() == []
        await code_for(scene, "alice")


async def test_a_stranger_who_was_refused_before_gets_a_code_when_the_policy_is_pairing(scene: Stage) -> None:
    async with scene.open():
        scene.channel.access = AccessPolicy.ALLOWLIST
        assert await scene.ask("alice", "hello") == NOT_ADMITTED
        scene.channel.access = AccessPolicy.PAIRING
        code = await code_for(scene, "alice")
        scene.channel.access = AccessPolicy.ALLOWLIST
        await scene.write("alice", "hello")
        assert await requests(scene).approve(code) == ALICE
        assert await AccessList(scene.gateway.parts.backend.database).remove(Entry.of(ALICE))
        assert not await scene.write("alice", "hello")
