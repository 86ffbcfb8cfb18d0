"""The event loop's default executor: threads for tools, and others for everything else.

`asyncio.to_thread` and `loop.getaddrinfo` share the default executor. Tools that never return would fill it, and then
no name could be looked up and nothing could be sent. So what a tool submits runs in a pool of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from gateway.cancellation import StrayExitError

THREADS = 64  # for blocking clients and look-ups of names
TOOL_THREADS = 64  # for tools, besides those that are abandoned
MOST_ABANDONED = 64  # threads, each of which is replaced; with more the process is not ready
THREAD_NAME = "understudy-thread"
TOOL_THREAD_NAME = "understudy-tool"

T = TypeVar("T")

_for_tools: ContextVar[bool] = ContextVar("for_tools", default=False)


@contextmanager
def tool_threads() -> Iterator[None]:
    """Run what the block submits to the default executor in the threads for tools."""
    token = _for_tools.set(True)
    try:
        yield
    finally:
        _for_tools.reset(token)


class LoopExecutor(ThreadPoolExecutor):
    """Run blocking functions, each with the context variables of its caller.

    Functions that are submitted within `tool_threads()` run in a pool of their own. A thread of it is abandoned when
    the call that waits for it is cancelled: Python cannot stop the thread.

    Args:
        tool_threads: how many functions of tools run at once at least.
        most_abandoned: how many threads may be abandoned before that is not guaranteed any more.
    """

    def __init__(self, tool_threads: int = TOOL_THREADS, most_abandoned: int = MOST_ABANDONED) -> None:
        super().__init__(THREADS, thread_name_prefix=THREAD_NAME)
        self.tools = ThreadPoolExecutor(tool_threads + most_abandoned, thread_name_prefix=TOOL_THREAD_NAME)
        self.abandoned = 0
        self._most_abandoned = most_abandoned
        self._lock = Lock()

    @property
    def is_exhausted(self) -> bool:
        """Return whether so many threads are abandoned that tools may have to wait for one."""
        return self.abandoned > self._most_abandoned

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        run = copy_context().run
        if not _for_tools.get():
            return super().submit(run, fn, *args, **kwargs)
        call: _ToolFuture[T] = _ToolFuture(self._count)
        self.tools.submit(call.work, lambda: run(fn, *args, **kwargs))
        return call

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start nothing more. Threads that still run are not waited for, as a tool may never return."""
        super().shutdown(wait=False, cancel_futures=True)
        self.tools.shutdown(wait=False, cancel_futures=True)

    def _count(self, change: int) -> None:
        with self._lock:
            self.abandoned += change


class _ToolFuture(Future[T]):
    """The result of a tool's function, which counts its thread as abandoned while nobody waits for it."""

    def __init__(self, count: Callable[[int], None]) -> None:
        super().__init__()
        self._count = count
        self._is_abandoned = False

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if not cancelled and not self._is_abandoned and self.running():
            self._is_abandoned = True
            self._count(1)
            self.add_done_callback(lambda _: self._count(-1))
        return cancelled

    def work(self, function: Callable[[], T]) -> None:
        """Run the function in the thread that this is called in."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = function()
        except SystemExit as error:  # which would end the event loop
            self.set_exception(StrayExitError("a function in a thread", error))
        except BaseException as error:  # noqa: BLE001 - raised in the task that awaits it
            self.set_exception(error)
        else:
            self.set_result(result)
        finally:
            del self, function  # the traceback of an exception that the future holds refers to this frame


_executors: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopExecutor] = WeakKeyDictionary()


def equip_loop(executor: LoopExecutor | None = None) -> LoopExecutor:
    """Make a `LoopExecutor` the default executor of the running loop.

    Args:
        executor: which one; unless given, the one that the loop has, or else a new one.

    Returns:
        The loop's executor.
    """
    loop = asyncio.get_running_loop()
    if executor is not None or loop not in _executors:
        _executors[loop] = executor or LoopExecutor()
        loop.set_default_executor(_executors[loop])
    return _executors[loop]
