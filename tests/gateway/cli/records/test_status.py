"""`understudy status`, as an operator uses it while the gateway runs, and when it does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands.in_process import invoke
from support.stage import CANCEL, Orders, Stage, Vault, stage, stage_timings

from gateway.channels.refusals import WebhookRefusedError


@pytest.fixture
def scene(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    return stage(tmp_path, [Orders(), Vault()], database=database_url, timings=stage_timings(presence=0.05))


async def read() -> dict[str, Any]:
    (line,) = (await invoke("status", "--json")).splitlines()
    found: dict[str, Any] = json.loads(line)
    found["oldest"] = {each["queue"]: each["oldest_reference"] for each in found["queues"] if each["oldest_at"]}
    found["queues"] = {each["queue"]: each["number"] for each in found["queues"] if each["number"]}
    return found


def refuse_a_webhook(scene: Stage) -> None:
    with pytest.raises(WebhookRefusedError), scene.channel.refusals.refusals_logged():
        raise WebhookRefusedError(401, "its signature does not match", "Look at the request 4711.")


async def test_status_tells_what_comes_in_what_waits_and_what_runs(scene: Stage) -> None:
    assert "No process of the gateway is alive" in await invoke("status")
    async with scene.open():
        await scene.write("alice", "call open_vault")
        await scene.write("bob", CANCEL)
        await scene.wait_for(2)
        refuse_a_webhook(scene)
        await scene.wait_until_rows("SELECT count(*) FROM refusals", 1)
        await scene.wait_until_rows("SELECT count(*) FROM processes", 1 if scene.worker is None else 2)
        await scene.change("UPDATE outbox SET status = 'dead' WHERE id = 1")
        references = [reference for (reference,) in scene.rows("SELECT reference FROM inbox ORDER BY id")]
        running = await read()
        table = await invoke("status")
    (channel,) = running["channels"]
    assert channel["channel"] == "stage"
    assert channel["accepted_at"] < channel["refused_at"]
    assert (channel["status_code"], channel["reason"]) == (401, "its signature does not match")
    assert "4711" not in json.dumps(running)
    does = [(process["takes_events"], process["plays_turns"]) for process in running["processes"]]
    assert does == ([(True, True)] if scene.worker is None else [(False, True), (True, False)])
    assert running["queues"] == {"sign_in": 1, "question": 1}
    assert running["oldest"] == dict(zip(("sign_in", "question"), references, strict=True))
    assert (running["dead_letters"], running["is_stuck"]) == (1, False)
    assert "its signature does not match (answered 401)" in table
    assert "messages waiting for a sign-in" in table
    stopped = await read()
    assert (stopped["processes"], stopped["is_stuck"]) == ([], False)
    assert stopped["channels"] == running["channels"]


async def test_a_gateway_whose_messages_nobody_answers_is_a_problem(scene: Stage) -> None:
    async with scene.open():
        await scene.ask("alice", "hello")
    await scene.change("UPDATE inbox SET status = 'waiting'")
    # A process that was killed.
    await scene.change(
        "INSERT INTO processes (id, takes_events, plays_turns, host, pid, version, started_at, seen_at)"
        " VALUES ('x', true, true, 'here', 1, '0.1', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
    )
    with pytest.raises(SystemExit) as ended:
        await invoke("status")
    assert ended.value.code == 1
    await scene.change("UPDATE processes SET seen_at = '2999-01-01 00:00:00'")
    assert (await read())["queues"] == {"waiting": 1}


async def test_with_a_file_all_its_channels_are_listed(tmp_path: Path) -> None:
    stage(tmp_path, database=f"sqlite:///{tmp_path}/other.db")
    (tmp_path / "bot.py").write_text(
        "from gateway import Agent, Gateway\n"
        "from interfaces.telegram import Telegram\n"
        f"gateway = Gateway(Agent(model='test'), [Telegram()], 'sqlite:///{tmp_path}/other.db')\n"
    )
    found = json.loads(await invoke("status", str(tmp_path / "bot.py"), "--json"))
    assert [(each["channel"], each["accepted_at"], each["reason"]) for each in found["channels"]] == [
        ("telegram", None, None)
    ]
