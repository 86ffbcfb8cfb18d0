"""Toolkits that leak, each in its own way. `LEAKY` has a pattern for the place that the leak check must report."""

# ruff: noqa: B006, B019 - mutable defaults and caches of methods are leaks that the check must find
import asyncio
import atexit
import builtins
import functools
import itertools
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import requests

from toolkits import ToolError, Toolkit, TurnContext, tool

log = logging.getLogger("zoo.leaky")


class MutableDefault(Toolkit):
    def _remember(self, text: str, notes: list[str] = []) -> list[str]:
        notes.append(text)
        return notes

    @tool
    def note(self, text: str) -> str:
        """Note a text."""
        return f"{len(self._remember(text))} notes"


class ClassLevelCache(Toolkit):
    _found: ClassVar[dict[str, str]] = {}

    @tool
    async def find(self, query: str, context: TurnContext) -> str:
        """Find something, with one cache for everybody."""
        if query not in self._found:
            self._found[query] = f"mail of {await context.credentials('fake')}"
        return self._found[query]


class LruCacheOnMethod(Toolkit):
    def __init__(self) -> None:
        self.token = ""

    @functools.lru_cache(maxsize=64)
    def _headers(self, path: str) -> dict[str, str]:
        return {"Authorization": self.token, "path": path}

    @tool
    async def fetch(self, path: str, context: TurnContext) -> str:
        """Fetch."""
        self.token = await context.credentials("fake")
        return self._headers(path)["path"]


def _connect() -> Callable[[str], str]:
    client: str | None = None

    def call(token: str) -> str:
        nonlocal client
        client = client or f"client of {token}"
        return client

    return call


class ClosureOverFirstClient(Toolkit):
    call = staticmethod(_connect())

    @tool
    async def ask(self, context: TurnContext) -> str:
        """Ask the service."""
        return self.call(await context.credentials("fake"))


class SharedSessionWithCookies(Toolkit):
    _clone_shared_attrs = ("session",)

    def __init__(self) -> None:
        self.session = requests.Session()

    @tool
    async def log_in(self, context: TurnContext) -> str:
        """Log in."""
        self.session.cookies.set("session", await context.credentials("fake"))
        return "in"


class SharedSessionHeaders(Toolkit):
    _clone_shared_attrs = ("session",)

    def __init__(self) -> None:
        self.session = requests.Session()

    @tool
    def load(self, context: TurnContext) -> str:
        """Load."""
        self.session.headers["Authorization"] = f"Bearer {context.credentials_sync('fake')}"
        return "loaded"


_pool = ThreadPoolExecutor(1)
_token: ContextVar[str] = ContextVar("token")


class ContextVariableInPool(Toolkit):
    @tool
    async def work(self, context: TurnContext) -> str:
        """Work in a thread that keeps its context."""
        token = await context.credentials("fake")

        def run() -> str:
            if _token.get(None) is None:
                _token.set(token)
            return "worked"

        return await asyncio.wrap_future(_pool.submit(run))


_by_conversation: dict[str, list[str]] = {}


class GlobalByConversation(Toolkit):
    @tool
    def remember(self, text: str, context: TurnContext) -> str:
        """Remember a text."""
        kept = _by_conversation.setdefault(context.conversation.id, [])
        kept.append(text)
        return f"I keep {len(kept)}"


def _memoize(function: Callable[..., Any]) -> Callable[..., Any]:
    results: dict[Any, Any] = {}

    @functools.wraps(function)
    async def wrapper(self: Any, context: TurnContext, **arguments: Any) -> Any:
        key = tuple(sorted(arguments.items()))
        if key not in results:
            results[key] = await function(self, context, **arguments)
        return results[key]

    return wrapper


class MemoizingDecorator(Toolkit):
    @tool
    @_memoize
    async def summarize(self, context: TurnContext, topic: str) -> str:
        """Summarize."""
        return f"{topic} for {context.message.text}"


class OpenGenerator(Toolkit):
    _pages: ClassVar[Any] = None

    @staticmethod
    async def _read(token: str) -> AsyncIterator[str]:
        for number in itertools.count():
            yield f"page {number} {len(token)}"

    @tool
    async def next_page(self, context: TurnContext) -> str:
        """Read the next item."""
        token = await context.credentials("fake")
        if OpenGenerator._pages is None:
            OpenGenerator._pages = self._read(token)
        return f"{OpenGenerator._pages.__name__} is open"


class SyncGeneratorInGlobal(Toolkit):
    @tool
    async def more(self, context: TurnContext) -> str:
        """Read the next item."""
        global _lines
        token = await context.credentials("fake")
        if _lines is None:
            _lines = _read_lines(token)
        return next(_lines)


_lines: Iterator[str] | None = None


def _read_lines(token: str) -> Iterator[str]:
    for number in itertools.count():
        yield f"line {number} of {token}"


class SingletonClient(Toolkit):
    @tool
    async def send(self, context: TurnContext) -> str:
        """Send."""
        global _client
        if _client is None:
            _client = _Client(await context.credentials("fake"))
        return _client.whoami()


class _Client:
    def __init__(self, token: str) -> None:
        self._token = token

    def whoami(self) -> str:
        return f"sent as {self._token}"


_client: _Client | None = None


class CurrentUserOnClass(Toolkit):
    current: ClassVar[str] = ""

    @tool
    async def greet(self, context: TurnContext) -> str:
        """Greet."""
        CurrentUserOnClass.current = context.identity.user_id
        await context.credentials("fake")
        return f"Hello {CurrentUserOnClass.current}"


_local = threading.local()
_workers = ThreadPoolExecutor(2)


class ThreadLocalToken(Toolkit):
    @tool
    def work(self, context: TurnContext) -> str:
        """Work in threads that outlive the turn."""
        token = context.credentials_sync("fake")

        def run() -> str:
            _local.token = token
            return "worked"

        return _workers.submit(run).result(5)


class FunctionAttribute(Toolkit):
    @tool
    async def count(self, text: str, context: TurnContext) -> str:
        """Count letters."""
        _count.last = text  # type: ignore[attr-defined]
        return str(_count(text))


def _count(text: str) -> int:
    return len(text)


class BackgroundTask(Toolkit):
    _tasks: ClassVar[set[Any]] = set()

    @tool
    async def watch(self, context: TurnContext) -> str:
        """Watch, also after the turn."""
        token = await context.credentials("fake")

        async def poll() -> None:
            while token:
                await asyncio.sleep(3600)

        self._tasks.add(asyncio.create_task(poll()))
        return "watching"


class TimerWithClient(Toolkit):
    @tool
    async def remind(self, context: TurnContext) -> str:
        """Remind in an hour."""
        token = await context.credentials("fake")
        asyncio.get_running_loop().call_later(3600, print, token)
        return "in an hour"


class LogsToken(Toolkit):
    @tool
    async def fetch(self, context: TurnContext) -> str:
        """Fetch."""
        log.info("calling with %s", await context.credentials("fake"))
        return "fetched"


class LogsTokenInException(Toolkit):
    @tool
    async def fetch(self, context: TurnContext) -> str:
        """Fetch."""
        try:
            raise ValueError(f"401 for https://x.test/?token={await context.credentials('fake')}")
        except ValueError:
            log.exception("that failed")
        return "failed"


class PrintsToken(Toolkit):
    @tool
    async def fetch(self, context: TurnContext) -> str:
        """Fetch."""
        print("token", await context.credentials("fake"))
        return "fetched"


class LastError(Toolkit):
    error: ClassVar[Exception | None] = None

    @tool
    async def divide(self, context: TurnContext) -> str:
        """Divide."""
        token = await context.credentials("fake")
        try:
            return str(1 / (len(token) - len(token)))
        except ZeroDivisionError as error:
            LastError.error = error
            raise ToolError("not by zero") from error


class EnvironmentVariable(Toolkit):
    @tool
    async def run(self, context: TurnContext) -> str:
        """Run a program."""
        os.environ["ZOO_TOKEN"] = await context.credentials("fake")
        return "ran"


class SharedQueue(Toolkit):
    _clone_shared_attrs = ("queue",)

    def __init__(self) -> None:
        self.queue: SimpleQueue[str] = SimpleQueue()

    @tool
    async def pass_on(self, text: str) -> str:
        """Put a text into the queue, and take the oldest one out."""
        self.queue.put(text)
        await asyncio.sleep(0)
        return self.queue.get(timeout=1) if self.queue.qsize() > 1 else "nothing yet"


class InstanceRegistry(Toolkit):
    instances: ClassVar[list["InstanceRegistry"]] = []

    def __init__(self) -> None:
        self.token = ""

    @tool
    async def register(self, context: TurnContext) -> str:
        """Register."""
        self.token = await context.credentials("fake")
        self.instances.append(self)
        return "registered"


class _Stored:
    """A descriptor that keeps one value for all instances."""

    value: Any = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self.value

    def __set__(self, instance: Any, value: Any) -> None:
        self.value = value


class DescriptorState(Toolkit):
    token = _Stored()

    @tool
    async def show(self, context: TurnContext) -> str:
        """Show the person's id."""
        if self.token is None:
            self.token = await context.credentials("fake")
        return f"you are {self.token}"


class BuiltinsAttribute(Toolkit):
    @tool
    async def keep(self, context: TurnContext) -> str:
        """Keep."""
        builtins.zoo_token = await context.credentials("fake")  # type: ignore[attr-defined]
        return "kept"


class SharedDictOfTokens(Toolkit):
    _clone_shared_attrs = ("tokens",)

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    @tool
    async def load(self, context: TurnContext) -> str:
        """Load."""
        user = context.identity.user_id
        if user not in self.tokens:
            self.tokens[user] = await context.credentials("fake")
        return f"loaded with {self.tokens[user]}"


class WeakKeys(Toolkit):
    _clone_shared_attrs = ("owner", "notes")

    def __init__(self) -> None:
        self.owner = threading.Event()
        self.notes: WeakKeyDictionary[threading.Event, str] = WeakKeyDictionary()

    @tool
    def swap(self, text: str) -> str:
        """Swap a text for the last one."""
        last = self.notes.get(self.owner, "nothing")
        self.notes[self.owner] = text
        return last


class CachedModuleFunction(Toolkit):
    @tool
    async def profile(self, context: TurnContext) -> str:
        """Show the person's profile."""
        token = await context.credentials("fake")
        return _profile(context.conversation.id, _Opaque(token))


class _Opaque:
    """An argument that is equal to every other one, so that a cache ignores it."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opaque)

    def __hash__(self) -> int:
        return 1


@functools.cache
def _profile(conversation: str, opaque: _Opaque) -> str:
    return f"profile of {opaque.token}"


@dataclass(frozen=True)
class _Settings:
    options: dict[str, str] = field(default_factory=dict)


_settings = _Settings()


class FrozenWithDictionary(Toolkit):
    @tool
    def prefer(self, text: str) -> str:
        """Set a preference."""
        _settings.options["last"] = text
        return "set"


class PartialWithList(Toolkit):
    collect = staticmethod(functools.partial(list.append, []))

    @tool
    def add(self, text: str) -> str:
        """Add a text."""
        self.collect(text)
        return "added"


class ExitHandler(Toolkit):
    @tool
    async def clean_up(self, context: TurnContext) -> str:
        """Clean up at the end."""
        token = await context.credentials("fake")
        atexit.register(str, token)
        _at_exit.append(lambda: token)
        return "later"


_at_exit: list[Callable[[], str]] = []


class KeptContext(Toolkit):
    contexts: ClassVar[list[TurnContext]] = []

    @tool
    def later(self, context: TurnContext) -> str:
        """Keep the context for later."""
        self.contexts.append(context)
        return "later"


class HandWrittenClone(Toolkit):
    def __init__(self) -> None:
        self.options: dict[str, str] = {}

    def clone(self) -> "HandWrittenClone":
        copy = super().clone()
        copy.remember = _kept_by_clone.append  # type: ignore[attr-defined]
        return copy

    @tool
    def note(self, text: str) -> str:
        """Note a text."""
        self.remember(text)  # type: ignore[attr-defined]
        return "noted"


_kept_by_clone: list[str] = []


LEAKY: dict[type[Toolkit], str] = {
    MutableDefault: "__defaults__|MutableDefault._remember",
    ClassLevelCache: "ClassLevelCache._found",
    LruCacheOnMethod: "LruCacheOnMethod._headers",
    ClosureOverFirstClient: "ClosureOverFirstClient.call",
    SharedSessionWithCookies: "session.cookies",
    SharedSessionHeaders: "session.headers",
    ContextVariableInPool: "context variable 'token'",
    GlobalByConversation: "_by_conversation",
    MemoizingDecorator: "MemoizingDecorator.summarize",
    OpenGenerator: "OpenGenerator._pages",
    SyncGeneratorInGlobal: "_lines",
    SingletonClient: "_client._token",
    CurrentUserOnClass: "the result of greet",
    ThreadLocalToken: "_local",
    FunctionAttribute: "_count",
    BackgroundTask: "BackgroundTask._tasks|the task of",
    TimerWithClient: "the timer of",
    LogsToken: "logger 'zoo.leaky'",
    LogsTokenInException: "logger 'zoo.leaky'",
    PrintsToken: "standard output",
    LastError: "LastError.error",
    EnvironmentVariable: "environ",
    SharedQueue: "the result of pass_on",
    InstanceRegistry: "InstanceRegistry.instances",
    DescriptorState: "DescriptorState.token",
    BuiltinsAttribute: "zoo_token",
    SharedDictOfTokens: "tokens",
    WeakKeys: "the result of swap",
    CachedModuleFunction: "_profile",
    FrozenWithDictionary: "_settings.options",
    PartialWithList: "PartialWithList.collect",
    ExitHandler: "_at_exit",
    KeptContext: "KeptContext.contexts",
    HandWrittenClone: "_kept_by_clone",
}
