"""SIGTERM while something still runs."""

from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.served import AGENTS
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

SLOW_TOOL = AGENTS / "slow_tool.py"
STUBBORN_TOOL = AGENTS / "stubborn_tool.py"


@pytest.mark.parametrize("tool", [SLOW_TOOL, STUBBORN_TOOL], ids=["blocks its thread", "swallows its cancellation"])
def test_a_tool_that_never_ends_does_not_hold_up_the_end(serve: Serve, telegram: TelegramServer, tool: Path) -> None:
    served = serve(tool)
    telegram.deliver(updates.private_message("do it"))
    wait_until(served.gate.exists, what="the tool runs")
    assert served.stop() == 0
    assert "left behind" in served.output()
    # The message is given back: the next process plays it again.
    assert served.rows("SELECT status, attempts FROM inbox") == [("waiting", 0)]
