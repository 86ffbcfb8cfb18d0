"""Correct toolkits that do things that often cause leaks. The leak check must not report them."""

import asyncio
import functools
import itertools
import json
import logging
import re
import sqlite3
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import requests

from toolkits import Identity, ToolError, Toolkit, TurnContext, needs_sign_in, tool

log = logging.getLogger("zoo.correct")


class ResetCache(Toolkit):
    _clone_reset_attrs = ("cache", "token")

    def __init__(self) -> None:
        self.cache: dict[str, str] = {}
        self.token: str | None = None

    @tool
    async def find(self, query: str, context: TurnContext) -> str:
        """Find."""
        self.token = self.token or await context.credentials("fake")
        self.cache[query] = f"{query} {self.token}"
        return str(self.cache)


class PlainAttributes(Toolkit):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.deep = {"a": [{"b": set[str]()}]}

    @tool
    async def see(self, query: str, context: TurnContext) -> str:
        """See."""
        self.seen.append(await context.credentials("fake"))
        self.deep["a"][0]["b"].add(query)
        return f"{self.seen} {self.deep}"


@functools.lru_cache(maxsize=128)
def _parse(text: str) -> tuple[str, ...]:
    return tuple(text.split())


class MemoOfPureFunction(Toolkit):
    @tool
    def words(self, text: str) -> str:
        """Count words."""
        return str(len(_parse(text)))


class LibraryMemo(Toolkit):
    @tool
    def host(self, text: str) -> str:
        """Call functions of the standard library that have caches."""
        re.compile(re.escape(text))
        return str(urlsplit(f"https://example.com/{text}").path)


_notes: dict[Identity, list[str]] = {}


class KeyedByIdentity(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note."""
        mine = _notes.setdefault(context.identity, [])
        mine.append(text)
        return str(mine)


_rows: dict[tuple[str, str, str], str] = {}


class KeyedByTuple(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note."""
        who = context.identity
        _rows[who.channel, who.tenant, who.user_id] = text
        return _rows[who.channel, who.tenant, who.user_id]


_lines: dict[str, str] = {}


class KeyedByString(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note."""
        who = context.identity
        _lines[f"{who.channel}/{who.tenant}/{who.user_id}"] = json.dumps({"text": text})
        return "noted"


class SharedLock(Toolkit):
    _clone_shared_attrs = ("lock", "semaphore")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.semaphore = asyncio.Semaphore(2)

    @tool
    def sync(self, text: str) -> str:
        """Return the text, one call at a time."""
        with self.lock:
            return text

    @tool
    async def limited(self, text: str) -> str:
        """Return the text, two calls at a time."""
        async with self.semaphore:
            await asyncio.sleep(0)
            return text


class SharedCounter(Toolkit):
    _clone_shared_attrs = ("calls",)

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    @tool
    def count(self, text: str, context: TurnContext) -> str:
        """Count calls."""
        self.calls["count"] += 1
        self.calls[context.conversation.channel] += 1
        return "counted"


class SharedClientWithHeadersPerRequest(Toolkit):
    _clone_shared_attrs = ("session",)

    def __init__(self) -> None:
        self.session = requests.Session()

    @tool
    async def fetch(self, context: TurnContext) -> str:
        """Fetch."""
        token = await context.credentials("fake")
        request = requests.Request("GET", "http://localhost/", headers={"Authorization": token})
        prepared = self.session.prepare_request(request)
        return str(len(prepared.headers))


_current: ContextVar[str] = ContextVar("current", default="")


class ContextVariableReset(Toolkit):
    @tool
    async def work(self, context: TurnContext) -> str:
        """Work under a context variable."""
        reset = _current.set(await context.credentials("fake"))
        try:
            await asyncio.sleep(0)
            return await asyncio.to_thread(_current.get)
        finally:
            _current.reset(reset)


class ContextVariableInTask(Toolkit):
    @tool
    async def work(self, context: TurnContext) -> str:
        """Set a context variable and do not reset it: the task of the turn has its own context."""
        _current.set(await context.credentials("fake"))
        await asyncio.sleep(0)
        return _current.get()


_pool = ThreadPoolExecutor(2)


class PoolWithEverythingPassed(Toolkit):
    @tool
    async def work(self, text: str, context: TurnContext) -> str:
        """Work in threads that outlive the turn, in a copy of the context."""
        token = await context.credentials("fake")

        def run() -> str:
            _current.set(token)
            return f"{text} {_current.get()}"

        return await asyncio.wrap_future(_pool.submit(copy_context().run, run))


class ClassConstants(Toolkit):
    FOLDERS: ClassVar[dict[str, list[str]]] = {"inbox": ["new", "old"], "spam": []}
    last: str | None = None

    @tool
    def look(self, text: str) -> str:
        """Set `last` on the instance. The attribute of the class stays `None`."""
        self.last = text
        return f"{self.FOLDERS} {self.last}"


class NestedHelper(Toolkit):
    def __init__(self) -> None:
        self.helper = _Helper()

    @tool
    async def ask(self, text: str, context: TurnContext) -> str:
        """Ask a helper."""
        return self.helper.handle(text, await context.credentials("fake"))


class _Helper:
    def __init__(self) -> None:
        self.history: OrderedDict[str, str] = OrderedDict()
        self.owner = self

    def handle(self, text: str, token: str) -> str:
        self.history[text] = token
        return str(dict(self.history))

    @cached_property
    def size(self) -> int:
        return len(self.history)


class CachedPropertyOnClone(Toolkit):
    def __init__(self) -> None:
        self.token = ""

    @cached_property
    def client(self) -> dict[str, str]:
        return {"token": self.token}

    @tool
    async def fetch(self, context: TurnContext) -> str:
        """Fetch."""
        self.token = await context.credentials("fake")
        return str(self.client)


class WeakRegistry(Toolkit):
    live: ClassVar[WeakValueDictionary[int, "WeakRegistry"]] = WeakValueDictionary()

    def __init__(self) -> None:
        self.token = ""

    @tool
    async def join(self, context: TurnContext) -> str:
        """Join."""
        self.token = await context.credentials("fake")
        self.live[id(self)] = self
        return "joined"


class GeneratorOfTheTurn(Toolkit):
    def __init__(self) -> None:
        self._number = itertools.count()

    @tool
    async def stream(self, context: TurnContext) -> str:
        """Keep an open generator as an attribute."""
        token = await context.credentials("fake")

        async def pages() -> AsyncIterator[str]:
            while True:
                yield token

        self.pages = pages()
        return await anext(self.pages)

    @tool
    def lines(self, text: str) -> str:
        """Read lines."""

        def read() -> Iterator[str]:
            yield from text.split()

        return next(read())


class ClientInClosure(Toolkit):
    _clone_reset_attrs = ("call",)

    def __init__(self) -> None:
        self.call: Any = None

    @tool
    async def ask(self, context: TurnContext) -> str:
        """Ask through a closure that belongs to the turn."""
        token = await context.credentials("fake")
        self.call = self.call or (lambda: token)
        return str(self.call())


class TaskOfTheTurn(Toolkit):
    @tool
    async def work(self, context: TurnContext) -> str:
        """Work in tasks, and wait for them."""
        tasks = [asyncio.create_task(context.credentials("fake")) for _ in range(3)]
        return str(await asyncio.gather(*tasks))


class TimerThatIsCancelled(Toolkit):
    @tool
    async def work(self, context: TurnContext) -> str:
        """Work with a time limit."""
        async with asyncio.timeout(60):
            return str(await context.credentials("fake"))


class LogsWho(Toolkit):
    @tool
    async def fetch(self, text: str, context: TurnContext) -> str:
        """Fetch, and log the person and the length of the text."""
        log.info("fetching for %s: %d characters", context.identity, len(text))
        return f"{text} {await context.credentials('fake')}"


@dataclass(frozen=True)
class _Options:
    folders: tuple[str, ...] = ("inbox",)
    limit: int = 3


class FrozenOptions(Toolkit):
    options = _Options()

    def __init__(self) -> None:
        self.also = _Options(limit=5)
        self.pattern = re.compile("[a-z]+")

    @tool
    def show(self, text: str) -> str:
        """Show."""
        return f"{self.options} {self.also} {self.pattern.findall(text)}"


class OwnClone(Toolkit):
    def __init__(self) -> None:
        self.token = ""
        self.log: list[str] = []

    def clone(self) -> "OwnClone":
        copy = super().clone()
        copy.log = []
        return copy

    @tool
    async def fetch(self, text: str, context: TurnContext) -> str:
        """Fetch."""
        self.token = await context.credentials("fake")
        self.log.append(text)
        return f"{self.log} {self.token}"


class RaisesWithOwnData(Toolkit):
    @tool
    async def fail(self, text: str, context: TurnContext) -> str:
        """Fail with an error that contains the text."""
        token = await context.credentials("fake")
        if len(text) % 2:
            raise ToolError(f"no {text}")
        raise ValueError(f"{text} {token}")


class AsyncLockOfTheTurn(Toolkit):
    _clone_reset_attrs = ("lock",)

    def __init__(self) -> None:
        self.lock: asyncio.Lock | None = None
        self.token = ""

    @tool
    async def fetch(self, context: TurnContext) -> str:
        """Fetch once."""
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            self.token = self.token or await context.credentials("fake")
        return self.token


class MutableDefaultNeverWritten(Toolkit):
    def _search(self, text: str, options: dict[str, int] = {"limit": 3}) -> str:  # noqa: B006
        return f"{text} {options['limit']}"

    @tool
    @needs_sign_in("fake")
    async def search(self, text: str, context: TurnContext) -> str:
        """Search."""
        return self._search(text)


@dataclass
class _Pooled:
    free: list[bytearray] = field(default_factory=lambda: [bytearray(64), bytearray(64)])


class BufferPool(Toolkit):
    """A toolkit that reuses buffers, and clears each after its use."""

    _clone_shared_attrs = ("buffers",)

    def __init__(self) -> None:
        self.buffers = _Pooled()

    @tool
    async def encode(self, text: str, context: TurnContext) -> str:
        """Encode."""
        buffer = self.buffers.free.pop() if self.buffers.free else bytearray(64)
        try:
            data = text.encode()[:64]
            buffer[: len(data)] = data
            await context.credentials("fake")
            return buffer[: len(data)].decode()
        finally:
            buffer[:] = bytes(64)
            self.buffers.free.append(buffer)


_schema: dict[str, Any] | None = None


class SchemaMadeOnce(Toolkit):
    @tool
    def describe(self, text: str) -> str:
        """Describe with a schema that is made once and is the same for everybody."""
        global _schema
        if _schema is None:
            _schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        return json.dumps(_schema)


class FailsHalfWayAndCleansUp(Toolkit):
    open_for: ClassVar[set[Identity]] = set()

    @tool
    async def work(self, text: str, context: TurnContext) -> str:
        """Record who is at work, and remove the record even after an error."""
        self.open_for.add(context.identity)
        try:
            return f"{text} {await context.credentials('fake')}"
        finally:
            self.open_for.discard(context.identity)


_database = sqlite3.connect(":memory:", check_same_thread=False)
_database.execute("CREATE TABLE notes (owner TEXT, note TEXT)")


class TableByIdentity(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note in a table."""
        owner = repr(context.identity)
        _database.execute("INSERT INTO notes VALUES (?, ?)", (owner, text))
        return str(_database.execute("SELECT note FROM notes WHERE owner = ?", (owner,)).fetchall())


class TaskThatEndsByItself(Toolkit):
    @tool
    async def start(self, context: TurnContext) -> str:
        """Start a task that ends shortly after the turn."""
        token = await context.credentials("fake")

        async def run() -> int:
            await asyncio.sleep(0.005)
            return len(token)

        self.task = asyncio.create_task(run())
        return "started"


@functools.cache
def _greeting(identity: Identity, text: str) -> str:
    return f"{identity.user_id}: {text}"


class MemoByIdentity(Toolkit):
    @tool
    def greet(self, text: str, context: TurnContext) -> str:
        """Greet."""
        return _greeting(context.identity, text)


class TickingThread(Toolkit):
    @tool
    def tick(self, text: str) -> str:
        """Start a thread that holds no data of any person."""
        if not any(thread.name == "zoo-ticker" for thread in threading.enumerate()):
            threading.Thread(target=threading.Event().wait, args=(3600,), daemon=True, name="zoo-ticker").start()
        return text


class FileOfTheTurn(Toolkit):
    @tool
    def write(self, text: str) -> str:
        """Write a file that is deleted before the call ends."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text"
            path.write_text(text)
            return path.read_text()


CORRECT: list[type[Toolkit]] = [
    ResetCache,
    PlainAttributes,
    MemoOfPureFunction,
    LibraryMemo,
    KeyedByIdentity,
    KeyedByTuple,
    KeyedByString,
    SharedLock,
    SharedCounter,
    SharedClientWithHeadersPerRequest,
    ContextVariableReset,
    ContextVariableInTask,
    PoolWithEverythingPassed,
    ClassConstants,
    NestedHelper,
    CachedPropertyOnClone,
    WeakRegistry,
    GeneratorOfTheTurn,
    ClientInClosure,
    TaskOfTheTurn,
    TimerThatIsCancelled,
    LogsWho,
    FrozenOptions,
    OwnClone,
    RaisesWithOwnData,
    AsyncLockOfTheTurn,
    MutableDefaultNeverWritten,
    BufferPool,
    SchemaMadeOnce,
    FailsHalfWayAndCleansUp,
    TableByIdentity,
    TaskThatEndsByItself,
    MemoByIdentity,
    TickingThread,
    FileOfTheTurn,
]
