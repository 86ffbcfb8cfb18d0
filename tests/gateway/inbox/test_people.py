"""People are recognized by the platform's ids, and nothing is sent to those who have opted out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.stage import TENANT, Stage, place, stage

from gateway import Conversation, Identity
from gateway.channels import Person


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Stage:
    return stage(tmp_path, database=database_url)


def person(user_id: str, tenant: str = TENANT) -> Identity:
    return Identity("stage", tenant, user_id)


async def test_a_person_keeps_the_identity_with_which_they_were_first_seen(scene: Stage) -> None:
    async with scene.open():
        recognize = scene.gateway.host.recognize
        alice = Person(person("+1"), opted_out=False)
        assert await recognize(person("+1"), None) == alice
        assert await recognize(person("+1"), "US.1") == alice
        assert await recognize(person("US.1"), "US.1") == alice
        assert await recognize(person("+1"), None) == alice

        bob = Person(person("US.2"), opted_out=False)
        assert await recognize(person("US.2"), "US.2") == bob
        assert await recognize(person("+2"), "US.2") == bob


async def test_an_address_that_passes_to_another_person_passes_nothing_else_on(
    scene: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene.open():
        recognize = scene.gateway.host.recognize
        await scene.ask("former", "hello", "dm-1")
        assert await recognize(person("dm-1"), "US.1") == Person(person("dm-1"), opted_out=False)
        assert "belongs to another person by now" not in caplog.text

        newcomer = Person(person("US.2"), opted_out=False)
        assert await recognize(person("dm-1"), "US.2") == newcomer
        assert "belongs to another person by now, who is known as US.2" in caplog.text
        assert await recognize(person("dm-1"), "US.2") == newcomer
        assert await recognize(person("dm-1"), None) == newcomer
        assert await recognize(person("dm-1", "T2"), "US.2") == Person(person("dm-1", "T2"), opted_out=False)

        await scene.gateway.send(place("dm-1"), "for the former owner")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 1)
        await scene.gateway.send(Conversation("stage", TENANT, "US.2", shared=False), "for the newcomer")
        await scene.wait_for(2)
    assert [sent.text for sent in scene.sent] == ["heard: hello", "for the newcomer"]
    assert scene.rows("SELECT error FROM outbox WHERE status = 'dead'") == [
        ("The address belongs to another person by now.",)
    ]


async def test_nothing_is_sent_to_a_person_who_has_opted_out_until_they_opt_in(
    tmp_path: Path, database_url: str, scene: Stage
) -> None:
    alice = person("dm-alice")
    async with scene.open():
        host = scene.gateway.host
        await scene.ask("alice", "hello")
        await scene.change("UPDATE outbox SET status = 'retrying', due_at = '2100-01-01 00:00:00.000000'")
        await host.opt_out(alice, "e1")
        assert scene.rows("SELECT status FROM outbox") == [("dead",)]
        assert (await host.recognize(alice, None)).opted_out
        await scene.gateway.send(place("dm-alice"), "now")
        await scene.gateway.send(place("dm-alice"), "later", at=datetime.now(UTC) + timedelta(hours=1))
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 2)

    again = stage(tmp_path, database=database_url, written=1)
    async with again.open():
        host = again.gateway.host
        await again.gateway.send(place("dm-alice"), "after a restart")
        await again.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 3)
        await again.gateway.send(place("dm-alice", "T2"), "by another bot")
        await again.wait_for(1)

        await host.opt_in(alice, "e2")
        await host.opt_out(alice, "e1")  # a repeated event
        assert not (await host.recognize(alice, None)).opted_out
        await again.gateway.send(place("dm-alice"), "welcome back")
        await again.wait_for(2)
    assert [sent.text for sent in again.sent] == ["by another bot", "welcome back"]
    errors = again.rows("SELECT DISTINCT error FROM outbox WHERE status = 'dead'")
    assert errors == [("The person has opted out, so nothing is sent to them. They opt in again with the word START.",)]
    assert again.rows("SELECT count(*) FROM outbox WHERE status = 'scheduled'") == [(1,)]
