"""An agent with a tool that ignores its cancellation."""

import asyncio
import os
from pathlib import Path

from quick import TIMINGS

from gateway import Agent, Gateway
from interfaces.telegram import Telegram
from toolkits import Toolkit, tool


class Stubborn(Toolkit):
    @tool
    async def cling(self) -> str:
        """Run without an end."""
        Path(os.environ["GATE"]).touch()
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue


gateway = Gateway(Agent(model="test", toolkits=[Stubborn()]), [Telegram()], timings=TIMINGS)
