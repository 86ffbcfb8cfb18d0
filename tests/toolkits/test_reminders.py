"""The toolkit for reminders."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.stage import stage

from toolkits.reminders import Reminders


@pytest.mark.long
async def test_an_agent_reminds_at_the_time_that_it_was_asked_for(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Reminders()], database=database_url)
    async with scene.open():
        at = datetime.now(UTC) + timedelta(seconds=3)  # long enough for a slow machine to ask before
        asked = json.dumps({"text": "tea", "at": at.isoformat()}, separators=(",", ":"))
        assert "It will be sent at" in await scene.ask("alice", f"call remind {asked}")
        await scene.wait_for(2)
        for wrong in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00"):
            asked = json.dumps({"text": "tea", "at": wrong}, separators=(",", ":"))
            assert "It will be sent at" not in await scene.ask("alice", f"call remind {asked}")
    assert scene.sent[1].text == "tea"
    assert datetime.now(UTC) >= at
