"""`understudy audit`."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands.in_process import invoke
from support.stage import FakeProvider, Stage, stage
from typer.testing import CliRunner

from gateway import TurnContext
from gateway.cli.main import app
from toolkits import Toolkit, tool


class Office(Toolkit):
    """A toolkit with a tool that needs the person's credentials, and one that does not."""

    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth

    @tool
    async def read_mail(self, context: TurnContext) -> str:
        """Read mail."""
        return f"mail of {await context.credentials('fake', {'read'})}"

    @tool
    def add(self) -> str:
        """Add numbers."""
        return "3"


async def connected(scene: Stage) -> None:
    """Connect an account of Alice, for which her first message waits."""
    await scene.write("alice", "call read_mail")
    await scene.connect((await scene.wait_for(1))[0].link, "alice")
    await scene.wait_for(2)


def understudy(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "UNDERSTUDY_DATABASE_URL": f"sqlite:///{directory}/stage.db"}
    command = [str(Path(sys.executable).with_name("understudy")), "audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def count_listed(directory: Path, *arguments: str) -> int:
    environment = {"UNDERSTUDY_DATABASE_URL": f"sqlite:///{directory}/stage.db"}
    listed = CliRunner().invoke(app, ["audit", *arguments, "--json"], env=environment)
    assert listed.exit_code == 0, listed.output
    return len(listed.stdout.splitlines())


@pytest.mark.processes
async def test_the_command_lists_and_filters_while_the_gateway_runs(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Office(FakeProvider())])
    async with scene.open():
        await connected(scene)
        await scene.ask("alice", "call add", "thread")
        await scene.ask("bob", "call add")
        everything = await asyncio.to_thread(understudy, tmp_path)
        by_account = await asyncio.to_thread(understudy, tmp_path, "--account", "alice", "--json")
        filtered = {
            option: await asyncio.to_thread(count_listed, tmp_path, *option)
            for option in [
                ("--user", "bob"),
                ("--tool", "read_mail"),
                ("--outcome", "sign_in"),
                ("--conversation", "thread"),
                ("--channel", "slack"),
                ("--since", "2999-01-01"),
                ("--since", "2020-01-01T00:00:00"),
                ("--limit", "1"),
            ]
        }
    lines = everything.stdout.splitlines()
    assert everything.returncode == 0
    assert [line.split()[5] for line in lines[1:]] == ["-", "alice", "-", "-"]
    (record,) = map(json.loads, by_account.stdout.splitlines())
    assert (record["user_id"], record["tool"], record["outcome"]) == ("alice", "read_mail", "ok")
    assert list(filtered.values()) == [1, 2, 1, 1, 0, 0, 4, 1]


async def test_arguments_and_results_are_shown_on_demand_which_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", f"sqlite:///{tmp_path}/stage.db")
    scene = stage(tmp_path, [Office(FakeProvider())], audit_content=True)
    async with scene.open():
        await scene.ask("alice", "call add")
        await scene.ask("alice", "call add")
    for _ in range(2):
        hidden = [json.loads(line) for line in (await invoke("audit", "--json")).splitlines()]
        assert [(each["tool"], each["arguments"], each["result"]) for each in hidden] == [("add", None, None)] * 2
    shown = [json.loads(line) for line in (await invoke("audit", "--json", "--content")).splitlines()]
    assert [(each["arguments"], json.loads(each["result"])) for each in shown] == [("{}", "3")] * 2
    assert "result" in (await invoke("audit", "--content")).splitlines()[0]
    found = [json.loads(line) for line in (await invoke("audit", "--json")).splitlines()]
    assert [(each["tool"], each["user_id"], each["decided_by"]) for each in found[2:]] == [
        ("audit --content", "alice", "the operator")
    ] * 2


@pytest.mark.processes
def test_a_database_that_does_not_exist_is_named(tmp_path: Path) -> None:
    found = understudy(tmp_path)
    assert found.returncode == 2
    assert "stage.db, which does not exist" in found.stderr
    (tmp_path / "stage.db").touch()
    assert "start the gateway once" in understudy(tmp_path).stderr
