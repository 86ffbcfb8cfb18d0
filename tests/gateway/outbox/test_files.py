"""Files that tools and hosts send: in order with texts, once, as private as texts, and refused in a sentence."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from support.files import PNG
from support.stage import Stage, Vault, place, stage

from gateway import File, Identity, TurnContext
from gateway.channels import DeliveryAmbiguousError, RetryLaterError
from gateway.operations.personal_data import PersonalData
from gateway.operations.retention import Retention
from gateway.storage.files import ADDRESS_LIFETIME, SALT
from gateway.testing.channel import REFUSED_TYPE, TENANT
from toolkits import Toolkit, tool

LARGE = bytes(range(256)) * 4096 * 3  # three mebibytes: several chunks


class Painter(Toolkit):
    """A toolkit that sends the files that the tests need."""

    _clone_shared_attrs = ("file",)

    def __init__(self, file: Path) -> None:
        self.file = file

    @tool
    async def paint(self, context: TurnContext) -> str:
        """Send a picture."""
        await context.send_file(PNG, name="cat.png", caption="A **cat**")
        return "painted"

    @tool
    async def attach(self, context: TurnContext) -> str:
        """Send a file of the disk."""
        await context.send_file(self.file)
        return "attached"

    @tool
    async def refused(self, context: TurnContext) -> str:
        """Send a file that the platform does not take."""
        await context.send_file(b"x", name="a.bin", media_type=REFUSED_TYPE)
        return "never"


class PrivatePainter(Painter):
    private = True


def painter(tmp_path: Path, **options: Any) -> Stage:
    file = tmp_path / "report.csv"
    file.write_bytes(LARGE)
    return stage(tmp_path, toolkits=[Painter(file)], **options)


async def test_a_tool_sends_a_file_with_a_caption_before_its_answer(tmp_path: Path, database_url: str) -> None:
    scene = painter(tmp_path, database=database_url)
    async with scene.open():
        await scene.write("alice", "call paint")
        await scene.wait_for(2)
    picture, answer = scene.sent
    assert (picture.text, picture.files) == ("A **cat**", {"cat.png": PNG})
    assert (answer.text, answer.files) == ("painted", {})


async def test_a_file_from_the_disk_has_its_own_name_and_arrives_whole(tmp_path: Path, database_url: str) -> None:
    scene = painter(tmp_path, database=database_url)
    async with scene.open():
        await scene.write("alice", "call attach")
        await scene.wait_for(2)
    assert scene.sent[0].files == {"report.csv": LARGE}


async def test_the_model_is_told_why_the_platform_refuses_a_file(tmp_path: Path) -> None:
    scene = painter(tmp_path)
    async with scene.open():
        answer = await scene.ask("alice", "call refused")
        assert scene.rows("SELECT count(*) FROM files") == [(0,)]
    assert "The file 'a.bin' cannot be sent. The stage does not take this type." in answer
    assert len(scene.sent) == 1


@pytest.mark.parametrize(("content", "reason"), [(b"", "It is empty."), (bytes(51 * 2**20), "larger than 50 MB")])
async def test_an_empty_or_a_huge_file_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    scene = painter(tmp_path)
    async with scene.open():
        with pytest.raises(Exception, match=reason):
            await scene.gateway.send(place("dm-alice"), "", files=[File(content, name="a.bin")])
        assert scene.rows("SELECT count(*) FROM outbox") == [(0,)]
        assert scene.rows("SELECT count(*) FROM file_chunks WHERE file_id NOT IN (SELECT id FROM files)") == [(0,)]


async def test_several_files_and_a_long_text_are_sent_in_order(tmp_path: Path) -> None:
    scene, long = stage(tmp_path), "long " * 50
    async with scene.open():
        files = [File(b"1", name="1.txt"), File(b"2", name="2.txt")]
        await scene.gateway.send(place("dm-alice"), long, files=files)
        await scene.gateway.send(place("dm-alice"), "", files=[File(b"3", name="3.txt")])
        await scene.wait_for(4)
    said = [(sent.text, list(sent.files.values())) for sent in scene.sent]
    assert said == [(long, []), ("", [b"1"]), ("", [b"2"]), ("", [b"3"])]


async def test_a_key_sends_a_file_once(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        send = scene.gateway.send
        sent = [await send(place("dm-alice"), "", files=[File(b"1", name="1.txt")], key="monday") for _ in range(2)]
        await scene.wait_for(1)
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert scene.rows("SELECT count(*) FROM files") == [(1,)]
    assert (sent[0] is None, sent[1]) == (False, None)
    assert [list(each.files) for each in scene.sent] == [["1.txt"], []]


async def test_a_file_of_a_private_turn_goes_only_to_its_person(tmp_path: Path) -> None:
    scene = stage(tmp_path, toolkits=[PrivatePainter(tmp_path)])
    async with scene.open():
        await scene.write("alice", "call paint", "room")
        await scene.wait_for(2)
    assert [(sent.alone, list(sent.files)) for sent in scene.sent] == [("alice", ["cat.png"]), ("alice", [])]
    assert scene.rows("SELECT user_id FROM files") == [("alice",)]


async def test_a_private_file_that_cannot_be_sent_is_held_until_its_person_writes(tmp_path: Path) -> None:
    scene = stage(tmp_path, toolkits=[PrivatePainter(tmp_path)])
    async with scene.open():
        scene.channel.presenter.unreachable.add("alice")
        await scene.write("alice", "call paint", "room")
        await scene.wait_until(lambda: len(scene.channel.presenter.notes) == 2)
        scene.channel.presenter.unreachable.clear()
        await scene.write("alice", "here I am")
        await scene.wait_for(3)
    assert {"cat.png": PNG} in [sent.files for sent in scene.sent]


@pytest.mark.long
async def test_a_pause_and_an_ambiguous_send_are_handled_as_for_texts(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        scene.channel.presenter.failures = [RetryLaterError(1), DeliveryAmbiguousError("no answer")]
        await scene.gateway.send(place("dm-alice"), "here", files=[File(b"1", name="1.txt")])
        await scene.wait_for(1)
    (sent,) = scene.sent
    assert sent.files == {"1.txt": b"1"}
    assert sent.text.endswith("here")
    assert sent.text != "here"  # it has a mark that it may have been sent before


@pytest.mark.long
async def test_a_file_that_was_not_delivered_is_delivered_by_the_next_process(
    tmp_path: Path, database_url: str
) -> None:
    first, second = stage(tmp_path, database=database_url), stage(tmp_path, database=database_url)
    async with first.open():
        first.channel.presenter.failures = [ConnectionError("down")] * 100
        await first.gateway.send(place("dm-alice"), "here", files=[File(LARGE, name="a.bin")])
        await first.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
    async with second.open():
        await second.wait_for(1)
    assert [(sent.text, sent.files) for sent in second.sent] == [("here", {"a.bin": LARGE})]


async def test_files_are_exported_erased_and_removed_with_what_they_belong_to(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, toolkits=[Painter(tmp_path), vault])
    async with scene.open():
        await scene.write("alice", "call paint")
        await scene.write("bob", "call paint")
        await scene.wait_for(4)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 4)
        assert scene.gateway.parts.oauth is not None
        data = PersonalData(scene.gateway.parts.backend.database, scene.gateway.parts.oauth)
        alice = Identity("stage", TENANT, "alice")
        assert [each["name"] for each in (await data.export(alice))["files"]] == ["cat.png"]
        await data.erase(alice)
        assert scene.rows("SELECT count(*) FROM files") == [(1,)]
        await Retention(scene.gateway.parts.backend.database, timedelta(0)).remove()
        assert scene.rows("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM file_chunks)") == [(0, 0)]


async def test_an_address_of_a_file_works_for_a_while_and_only_for_that_file(tmp_path: Path) -> None:
    from httpx import ASGITransport, AsyncClient

    scene = stage(tmp_path)
    async with scene.open():
        store = scene.gateway.parts.stored_files
        file = await store.add(File(LARGE, name="a").chunks(), "Grüße.svg", "image/svg+xml")
        other = await store.add(File(b"other", name="b").chunks(), "b.txt", "text/plain")
        async with AsyncClient(transport=ASGITransport(scene.gateway.asgi()), base_url="http://test") as client:
            got = await client.get(file.path)
            head = await client.head(file.path)
            swapped = file.path.replace(file.id, other.id)
            forged = await client.get(swapped)
            changed = await client.get(file.path.replace("/files/", "/files/x"))
    assert (got.content, got.headers["content-type"]) == (LARGE, "image/svg+xml")
    assert got.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert (head.content, head.headers["content-length"]) == (b"", str(len(LARGE)))
    assert (forged.status_code, changed.status_code) == (404, 404)
    assert not file.signed(other.token)


async def test_an_address_of_a_file_expires(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        file = await scene.gateway.parts.stored_files.add(File(b"x", name="a").chunks(), "a.txt", "text/plain")

    class AnHourAgo(TimestampSigner):
        def get_timestamp(self) -> int:
            return super().get_timestamp() - ADDRESS_LIFETIME - 1

    assert file.signed(file.token)
    assert not file.signed(AnHourAgo(file.secret, SALT).sign(file.id).decode())


async def test_storing_a_file_does_not_block_others(tmp_path: Path) -> None:
    """Store a large file slowly. Each chunk is a separate transaction, so that others can write in between."""
    scene = stage(tmp_path)
    async with scene.open():
        store = scene.gateway.parts.stored_files
        begun = asyncio.Event()

        async def slow() -> Any:
            for _ in range(3):
                yield LARGE[: 2**20]
                begun.set()
                await asyncio.sleep(0)

        adding = asyncio.create_task(store.add(slow(), "slow.bin", "application/octet-stream"))
        await begun.wait()
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert (await adding).size == 3 * 2**20
