"""`understudy sessions`: export the history of a conversation."""

import json
from pathlib import Path

import pytest
from commands.in_process import invoke
from support.stage import stage

from oauth import SettingError


async def test_a_session_is_exported_and_what_people_wrote_only_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        await scene.ask("alice", "one", "room")
        await scene.ask("bob", "two", "room")
        await scene.ask("alice", "three")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", scene.database)
    room = ("sessions", "export", "stage", "T1", "room")
    without = [json.loads(line) for line in (await invoke(*room)).splitlines()]
    assert [(item["owner_user_id"], item["text"], item["data"]) for item in without][1:3] == [
        ("alice", "", ""),
        ("bob", "", ""),
    ]
    assert await invoke("audit", "--json") == ""
    items = [json.loads(line) for line in (await invoke(*room, "--content")).splitlines()]
    assert [item["created_at"] for item in items] == [item["created_at"] for item in without]
    assert [(item["owner_user_id"], item["role"], item["text"]) for item in items] == [
        ("alice", "user", "one"),
        ("alice", "assistant", "heard: one"),
        ("bob", "user", "two"),
        ("bob", "assistant", "heard: two"),
    ]
    assert all(item["created_at"] for item in items)
    records = [json.loads(line) for line in (await invoke("audit", "--json")).splitlines()]
    assert [(record["user_id"], record["conversation"], record["tool"]) for record in records] == [
        ("alice", "room", "sessions export --content"),
        ("bob", "room", "sessions export --content"),
    ]
    with pytest.raises(SettingError, match="The conversation 'nowhere' in stage T1 has no history"):
        await invoke("sessions", "export", "stage", "T1", "nowhere")
