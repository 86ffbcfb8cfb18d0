"""An agent with a tool that blocks its thread for longer than anybody waits."""

import os
import time
from pathlib import Path

from gateway import Agent, Gateway
from interfaces.telegram import Telegram
from toolkits import Toolkit, tool


class Slow(Toolkit):
    @tool
    def sleep(self) -> str:
        """Sleeps."""
        Path(os.environ["GATE"]).touch()
        time.sleep(120)
        return "awake"


gateway = Gateway(Agent(model="test", toolkits=[Slow()]), [Telegram()])
