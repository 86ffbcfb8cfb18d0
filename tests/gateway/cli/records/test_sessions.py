"""`understudy sessions`: export the history of a conversation."""

import asyncio
import json
from pathlib import Path

import pytest
from support.stage import stage
from typer.testing import CliRunner

from gateway.cli.main import app


async def test_a_session_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        await scene.ask("alice", "one", "room")
        await scene.ask("bob", "two", "room")
        await scene.ask("alice", "three")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", scene.database)
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["sessions", "export", "stage", "T1", "room"])
    assert shown.exit_code == 0
    items = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(item["owner_user_id"], item["role"], item["text"]) for item in items] == [
        ("alice", "user", "one"),
        ("alice", "assistant", "heard: one"),
        ("bob", "user", "two"),
        ("bob", "assistant", "heard: two"),
    ]
    assert all(item["created_at"] for item in items)
    none = await asyncio.to_thread(CliRunner().invoke, app, ["sessions", "export", "stage", "T1", "nowhere"])
    assert "The conversation 'nowhere' in stage T1 has no history" in str(none.exception)
