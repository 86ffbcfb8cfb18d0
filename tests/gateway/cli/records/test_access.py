"""`understudy access`: a running gateway follows each command at once."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from support.stage import TENANT, Stage, stage
from typer.testing import CliRunner

from gateway.access.pairing import ADMITTED
from gateway.channels import AccessPolicy
from gateway.cli.main import app
from oauth import SettingError


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Stage:
    made = stage(tmp_path, database=database_url)
    made.channel.access = AccessPolicy.PAIRING
    return made


async def access(scene: Stage, *arguments: str) -> str:
    """Run a command beside the gateway, and return what it prints."""
    environment = {"UNDERSTUDY_DATABASE_URL": scene.database}
    ran = await asyncio.to_thread(CliRunner().invoke, app, ["access", *arguments], env=environment)
    if ran.exception is not None:
        raise ran.exception
    return ran.output


async def test_allow_list_and_remove(scene: Stage) -> None:
    async with scene.open():
        assert not await scene.write("alice", "hello", "group")
        assert "could use" not in await access(scene, "allow", "stage", TENANT, "alice")
        assert "could use stage already" in await access(scene, "allow", "stage", TENANT, "alice")
        await access(scene, "allow", "stage", TENANT, "--chat", "group")
        await access(scene, "allow", "stage", "T2", "--everybody")
        assert await scene.write("bob", "hello", "group")
        assert await scene.write("carol", "hello", tenant="T2")
        listed = (await access(scene, "list", "--json")).splitlines()
        entries = {(each["kind"], each["tenant"], each["key"]) for each in map(json.loads, listed)}
        assert entries == {("person", TENANT, "alice"), ("chat", TENANT, "group"), ("workspace", "T2", "")}
        assert "group" in await access(scene, "list", "--channel", "stage")
        assert "The access list is empty." in await access(scene, "list", "--channel", "other")
        await access(scene, "remove", "stage", TENANT, "--chat", "group")
        await access(scene, "remove", "stage", "T2", "--everybody")
        assert not await scene.write("bob", "hello again", "group")
        assert await scene.write("alice", "hello", "group", id="now")
        with pytest.raises(SettingError, match="The chat stage T1 group is not on the list"):
            await access(scene, "remove", "stage", TENANT, "--chat", "group")


async def test_pending_and_approve(scene: Stage) -> None:
    async with scene.open():
        assert "No code is open." in await access(scene, "pending")
        told = await scene.ask("alice", "hello")
        (request,) = map(json.loads, (await access(scene, "pending", "--json")).splitlines())
        assert request["code"] in told
        assert re.search(rf"{request['code']}\s+stage T1 alice", await access(scene, "pending"))
        assert "The person stage T1 alice may use stage." in await access(scene, "approve", request["code"])
        assert (await scene.wait_for(2))[1].text == ADMITTED
        assert await scene.ask("alice", "hello again") == "heard: hello again"
        with pytest.raises(SettingError, match="There is no open code"):
            await access(scene, "approve", request["code"])


@pytest.mark.parametrize("named", [[], ["alice", "--everybody"], ["alice", "--chat", "group"]])
async def test_a_command_that_names_nobody_in_particular_changes_nothing(scene: Stage, named: list[str]) -> None:
    with pytest.raises(SettingError, match="one of the three"):
        await access(scene, "allow", "stage", TENANT, *named)
