"""An agent with a tool that blocks its thread for longer than a shutdown waits."""

import os
import time
from pathlib import Path

from quick import TIMINGS

from gateway import Agent, Gateway
from interfaces.telegram import Telegram
from toolkits import Toolkit, tool


class Slow(Toolkit):
    @tool
    def sleep(self) -> str:
        """Sleep."""
        Path(os.environ["GATE"]).touch()
        time.sleep(120)
        return "awake"


gateway = Gateway(Agent(model="test", toolkits=[Slow()]), [Telegram()], timings=TIMINGS)
