"""The event loop's default executor, with a separate thread pool for tools.

`asyncio.to_thread` and `loop.getaddrinfo` share the default executor. Tools that never return would fill it, and then
no host name could be resolved and nothing could be sent. Functions that tools submit therefore run in a second pool.
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

THREADS = 64  # for blocking clients and the resolution of host names
TOOL_THREADS = 64  # for tools, not counting abandoned threads
MAX_ABANDONED = 64  # threads that are replaced by new ones; with more, /readyz says that the process is not ready
THREAD_NAME = "understudy-thread"
TOOL_THREAD_NAME = "understudy-tool"

T = TypeVar("T")

_for_tools: ContextVar[bool] = ContextVar("for_tools", default=False)


@contextmanager
def tool_threads() -> Iterator[None]:
    """Run the functions that the block submits to the default executor in the threads for tools."""
    token = _for_tools.set(True)
    try:
        yield
    finally:
        _for_tools.reset(token)


class LoopExecutor(ThreadPoolExecutor):
    """An executor that runs each function with the context variables of its caller.

    Functions that are submitted within `tool_threads()` run in a second pool. A thread of that pool is abandoned when
    the call that waits for it is cancelled, because Python cannot stop the thread.

    Args:
        tool_threads: how many functions of tools can run at once, not counting abandoned threads.
        max_abandoned: how many abandoned threads are replaced. If there are more, tools may have to wait for a thread.
    """

    def __init__(self, tool_threads: int = TOOL_THREADS, max_abandoned: int = MAX_ABANDONED) -> None:
        super().__init__(THREADS, thread_name_prefix=THREAD_NAME)
        self.tools = ThreadPoolExecutor(tool_threads + max_abandoned, thread_name_prefix=TOOL_THREAD_NAME)
        self.abandoned = 0
        self._max_abandoned = max_abandoned
        self._lock = Lock()

    @property
    def is_exhausted(self) -> bool:
        """True if so many threads are abandoned that tools may have to wait for a thread."""
        return self.abandoned > self._max_abandoned

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        run = copy_context().run
        if not _for_tools.get():
            return super().submit(run, fn, *args, **kwargs)
        call: _ToolFuture[T] = _ToolFuture(self._count)
        self.tools.submit(call.work, lambda: run(fn, *args, **kwargs))
        return call

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no more functions, and do not wait for running ones: a tool may never return."""
        super().shutdown(wait=False, cancel_futures=True)
        self.tools.shutdown(wait=False, cancel_futures=True)

    def _count(self, change: int) -> None:
        with self._lock:
            self.abandoned += change


class _ToolFuture(Future[T]):
    """The future of a tool's function. If it is cancelled while the function runs, the thread counts as abandoned."""

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
        """Run the function in the current thread."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = function()
        except SystemExit as error:  # in the task that awaits, it would end the event loop
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
        executor: the executor to use; by default the one that an earlier call set for this loop, or a new one.

    Returns:
        The loop's executor.
    """
    loop = asyncio.get_running_loop()
    if executor is not None or loop not in _executors:
        _executors[loop] = executor or LoopExecutor()
        loop.set_default_executor(_executors[loop])
    return _executors[loop]
