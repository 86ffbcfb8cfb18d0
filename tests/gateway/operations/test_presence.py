"""What a process reports about itself."""

from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from support.stage import stage

from gateway.channels import Interface
from gateway.operations.presence import Presence
from gateway.storage.connect import connect
from gateway.testing import StageChannel


def refuse(interface: Interface, status: int) -> None:
    with pytest.raises(HTTPException), interface.refusals.refusals_logged():
        raise HTTPException(status)


async def test_the_last_refusal_of_several_processes_is_kept(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    database = connect(scene.database)
    await database.open()
    channels = [StageChannel(streams=False) for _ in range(2)]
    reports = [Presence(database, {"stage": channel}) for channel in channels]
    for each in reports:
        each.begin(takes_events=True, plays_turns=False)
    refuse(channels[0], 401)
    refuse(channels[1], 413)
    await reports[1].report()
    await reports[0].report()  # of an earlier refusal
    seen: list[Any] = scene.rows("SELECT channel, status_code, reason FROM refusals")
    assert seen == [("stage", 413, "it was answered 413")]
    assert scene.rows("SELECT count(*) FROM processes") == [(2,)]
    refuse(channels[0], 408)
    await reports[0].end()
    assert scene.rows("SELECT status_code FROM refusals") == [(408,)]
    assert scene.rows("SELECT count(*) FROM processes") == [(1,)]
    await database.close()


async def test_a_process_ends_although_its_database_does_not_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path)
    database = connect(scene.database)
    await database.open()
    presence = Presence(database, {})
    presence.begin(takes_events=True, plays_turns=True)
    scene.rows("DROP TABLE processes")
    await presence.end()
    assert "the end of this process could not be reported" in caplog.text
    await database.close()
