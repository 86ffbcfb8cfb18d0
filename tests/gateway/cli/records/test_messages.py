"""`understudy messages` and `show`, as an operator uses them while the gateway runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands.in_process import invoke
from support.stage import CANCEL, IMPATIENT, Orders, Stage, Vault, stage

from gateway import Conversation
from oauth import SettingError
from toolkits import Toolkit, tool


class Flaky(Toolkit):
    """A toolkit whose tool fails the first time."""

    _clone_shared_attrs = ("failures",)

    def __init__(self) -> None:
        self.failures: list[Exception] = [ConnectionError("no route")]

    @tool(read_only=True)
    def look(self) -> str:
        """Look."""
        if self.failures:
            raise self.failures.pop()
        return "a secret plan"


@pytest.fixture
def scene(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    return stage(tmp_path, [Orders(), Vault(), Flaky()], database=database_url, timings=IMPATIENT)


async def listed(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await invoke("messages", "--json", *arguments)).splitlines()]


async def timeline(reference: str, *arguments: str) -> list[dict[str, Any]]:
    (line,) = (await invoke("show", reference, "--json", *arguments)).splitlines()
    entries: list[dict[str, Any]] = json.loads(line)["entries"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    return entries


def events(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["event"] for entry in entries]


async def sent(scene: Stage, count: int) -> None:
    await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", count)


async def test_messages_are_found_by_person_and_time(scene: Stage) -> None:
    async with scene.open():
        assert "No message matches" in await invoke("messages")
        await scene.ask("alice", "hello")
        await scene.ask("bob", "hello")
        await scene.ask("alice", "hello again", "room")
        assert [(found["person"], found["conversation"], found["status"]) for found in await listed()] == [
            ("alice", "dm-alice", "done"),
            ("bob", "dm-bob", "done"),
            ("alice", "room", "done"),
        ]
        assert [found["conversation"] for found in await listed("--person", "alice")] == ["dm-alice", "room"]
        assert [found["conversation"] for found in await listed("--limit", "1")] == ["room"]
        assert await listed("--since", "2999-01-01") == []
        assert len(await listed("--since", "2020-01-01", "--channel", "stage", "--tenant", "T1")) == 3
        assert await listed("--tenant", "T2") == []
        table = await invoke("messages", "--person", "bob")
    assert "was answered" in table
    assert "hello" not in table


async def test_the_life_of_a_message_that_was_tried_again(scene: Stage) -> None:
    async with scene.open():
        await scene.ask("alice", "call look")
        await sent(scene, 1)
        (message,) = await listed()
        entries = await timeline(message["reference"])
        table = await invoke("show", message["reference"])
    assert events(entries) == ["received", "tool", "turn begun", "tool", "answered", "sent"]
    assert [entry["detail"] for entry in entries if entry["event"] == "tool"] == ["look: error", "look: ok"]
    answered, delivered = entries[-2:]
    assert (answered["tries"], delivered["tries"]) == (2, 1)
    assert all(entry["seconds"] >= 0 for entry in entries if entry["event"] in ("tool", "answered", "sent"))
    assert "a message from stage T1 alice, which was answered" in table
    assert "call look" not in table
    assert "secret plan" not in table


async def test_the_life_of_a_message_that_needed_a_sign_in_and_of_one_that_needed_an_approval(scene: Stage) -> None:
    async with scene.open():
        await scene.write("alice", "call open_vault")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        await scene.wait_for(2)
        await scene.write("bob", CANCEL)
        await scene.wait_for(3)
        await scene.write("bob", "yes")
        await scene.wait_for(4)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent' AND kind = 'text'", 2)
        vault, order, yes = await listed()
        entries = await timeline(vault["reference"])
        assert [entry["detail"] for entry in entries if entry["event"] == "tool"] == [
            "open_vault: sign_in",
            "open_vault as alice: ok",
        ]
        assert events(entries).index("resumed") > events(entries).index("received")
        assert "sign-in link" in [entry["detail"] for entry in entries if entry["event"] == "sent"]
        entries = await timeline(order["reference"])
        asked, answer = (next(each for each in entries if each["event"] == event) for event in ("question", "answer"))
        assert asked["detail"] == "approval cancel: answered"
        assert answer["detail"] == "approval cancel: by stage/T1/bob"
        assert answer["seconds"] >= 0
        assert "4711" not in json.dumps(entries)
        assert yes["status"] == "done"


async def test_content_is_shown_only_on_demand_and_the_audit_records_it(scene: Stage) -> None:
    async with scene.open():
        await scene.ask("alice", "my secret")
        await sent(scene, 1)
        (message,) = await listed()
        reference = message["reference"]
        assert "my secret" not in json.dumps(await timeline(reference))
        assert await invoke("audit", "--json") == ""
        assert "heard: my secret" in await invoke("show", reference, "--content")
        record = json.loads(await invoke("audit", "--json", "--reference", reference))
    assert (record["tool"], record["user_id"], record["decided_by"]) == ("show --content", "alice", "the operator")


async def test_a_message_that_the_gateway_sent_unasked_has_a_life_too(scene: Stage) -> None:
    async with scene.open():
        reference = await scene.gateway.send(Conversation("stage", "T1", "dm-alice", shared=False), "good morning")
        assert reference is not None
        await sent(scene, 1)
        entries = await timeline(reference)
        shown = await invoke("show", reference)
    assert events(entries) == ["stored", "sent"]
    assert "sent unasked" in shown
    assert "good morning" not in shown


async def test_an_unknown_reference_is_an_operators_mistake(scene: Stage) -> None:
    async with scene.open():
        with pytest.raises(SettingError, match="Nothing is stored under the reference 00000000"):
            await invoke("show", "00000000")
