"""Every command that lists prints JSON on request: one object per line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from commands.in_process import invoke
from support.stage import CANCEL, Orders, Vault, connect_vault, place, stage

from gateway import Identity
from gateway.channels import Feedback, Rating
from gateway.cli.lazy import LazyCommand
from gateway.cli.main import app

# Commands that do something, or whose result is a document: none of them lists.
NO_LISTS = {
    "access allow", "access approve", "access remove", "accounts resume", "accounts revoke", "accounts suspend",
    "config schema", "config show", "db copy", "db upgrade", "deadletters drop", "deadletters retry",
    "dev", "init", "keys new", "keys rotate", "person erase", "person export", "send", "serve", "slack manifest",
    "turns stop", "worker",
}  # fmt: skip

ALWAYS_JSON = {"sessions export"}

# They look at a set-up, in tests of their own: test_doctor.py, test_check.py, test_config.py.
OF_SET_UPS = {"check", "config check", "doctor"}


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Yield all commands of a group, at every depth, with their paths."""
    for name, listed in group.commands.items():
        command = listed.load() if isinstance(listed, LazyCommand) else listed
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


def takes_json(command: Any) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


COMMANDS = dict(commands(typer.main.get_group(app)))


def test_each_command_that_lists_has_the_option() -> None:
    assert {path for path, command in COMMANDS.items() if not takes_json(command)} == NO_LISTS | ALWAYS_JSON


@pytest.mark.long
async def test_each_command_that_lists_prints_one_object_per_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path, [Orders(), Vault()])
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", scene.database)
    async with scene.open():
        await connect_vault(scene, "alice")
        await scene.write("bob", CANCEL)
        await scene.wait_for(3)
        ((reference,),) = scene.rows("SELECT reference FROM inbox WHERE author = 'alice'")
        rated = Feedback(Identity("stage", "T1", "alice"), place("dm-alice"), Rating.UP, reference=reference)
        assert await scene.gateway.host.rate(rated)
        await invoke("access", "allow", "stage", "T1", "alice")
        await scene.change(
            "INSERT INTO access_requests"
            " (channel, tenant, user_id, code, expires_at, welcome, conversation_id, asked_at)"
            " VALUES ('stage', 'T1', 'eve', '1234', '2999-01-01 00:00:00', '[]', 1, '2026-01-01 00:00:00')"
        )
        await scene.change("UPDATE outbox SET status = 'dead' WHERE id = 1")
        arguments = {
            "show": (reference,),
            "deadletters show": ("d1",),
            "sessions export": ("stage", "T1", "dm-alice"),
        }
        for path, command in COMMANDS.items():
            if path in NO_LISTS | OF_SET_UPS:
                continue
            json_option = ("--json",) if takes_json(command) else ()
            printed = await invoke(*path.split(), *arguments.get(path, ()), *json_option)
            records = [json.loads(line) for line in printed.splitlines()]
            assert records, path
            assert all(isinstance(record, dict) for record in records), path
