"""A callback handler of LangChain that works in the event loop of the turn."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from langchain_core.callbacks import AsyncCallbackHandler


class OwnLoopHandler(AsyncCallbackHandler):
    """A callback handler that runs coroutines in the event loop in which it was made.

    For a synchronous tool or node, LangChain runs the callbacks in its thread, in a new event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def _in_own_loop(self, reporting: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the event loop of the turn."""
        if asyncio.get_running_loop() is self._loop:
            await reporting
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(reporting, self._loop))
