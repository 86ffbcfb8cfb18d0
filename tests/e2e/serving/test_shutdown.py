"""SIGTERM while a tool still runs."""

from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.served import AGENTS
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

SLOW_TOOL = AGENTS / "slow_tool.py"
STUBBORN_TOOL = AGENTS / "stubborn_tool.py"


@pytest.mark.parametrize("tool", [SLOW_TOOL, STUBBORN_TOOL], ids=["blocks its thread", "ignores its cancellation"])
def test_a_tool_that_never_ends_does_not_delay_the_shutdown(serve: Serve, telegram: TelegramServer, tool: Path) -> None:
    served = serve(tool)
    telegram.deliver(updates.private_message("do it"))
    wait_until(served.gate.exists, what="the tool runs")
    assert served.stop() == 0
    assert "left behind" in served.output()
    # The next process plays the turn again, and this one does not count as an attempt.
    assert served.rows("SELECT status, attempts FROM inbox") == [("waiting", 0)]
