"""Run the leak check for a caller that waits for it, with or without a running event loop."""

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from gateway.agents.agent import Agent
from gateway.check.hunt import hunt
from gateway.check.report import Report

THREADS = 16  # in which synchronous tools run
THREAD_NAME = "checked"


def hunt_and_wait(agent: Agent) -> Report:
    """Run `hunt` in a new thread with its own event loop, and wait for it. A thread that a tool blocks stays behind."""
    found: list[Report | BaseException] = []

    def run() -> None:
        try:
            found.append(_run(agent))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            found.append(error)

    thread = threading.Thread(target=run, name="check")
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def leave(status: int) -> NoReturn:
    """Exit the process, even if a tool still blocks a thread that Python would wait for."""
    if any(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run(agent: Agent) -> Report:
    loop, threads = asyncio.new_event_loop(), ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD_NAME)
    loop.set_default_executor(threads)
    try:
        return loop.run_until_complete(hunt(agent))
    finally:
        loop.run_until_complete(_end_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
        threads.shutdown(wait=False, cancel_futures=True)
        loop.close()


async def _end_tasks() -> None:
    """Cancel the tasks that tools have left running."""
    late = asyncio.all_tasks() - {asyncio.current_task()}
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
