"""Find marks that are still in memory, and the paths that lead to them."""

import asyncio
import contextlib
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any

from gateway.check.marks import NOT_WHOLLY_COLLECTED, TEXTS, Survivor, find_marks, is_marked, marks_in_text, parts
from gateway.check.owners import beside
from gateway.configuration.loader import FILE_PREFIX
from toolkits.paths import edge, short

OWN = "gateway.check"
_ATOMS = frozenset({int, float, bool, complex, type(None), type(...), CodeType})  # refer to nothing that may be marked
_NO_ROWS = (ModuleType, type, FrameType)  # their attributes are not the fields of one row
_LruCache = type(functools.lru_cache(maxsize=1)(len))
# Packages that hold what the test run itself has seen.
TEST_RUNNERS = ("_pytest", "pluggy", "pytest", "pytest_asyncio")


_Step = tuple[str, Any]
"""One step of a path as text, from an object to one that it holds; and the key, if the object is a mapping."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the walk through memory knows of a type.

    Args:
        is_atom: whether its objects refer to nothing that may be marked.
        is_text: whether its objects may be marked themselves.
        parts: lists what one of its objects refers to.
    """

    is_atom: bool
    is_text: bool
    parts: Callable[[Any], Iterable[Any]]


class _Kinds(dict[type, _Kind]):
    """Describes each type once, when the walk first meets it: there are millions of objects, but few types."""

    def __missing__(self, kind: type) -> _Kind:
        self[kind] = found = _Kind(kind in _ATOMS, issubclass(kind, TEXTS), _parts_of(kind))
        return found


class Heap:
    """All objects that can now be reached from lasting roots: templates, modules, threads, tasks and timers.

    Args:
        roots: the roots by the name that a path begins with, in the order in which they are searched.
        hidden: objects of the check itself, which are not searched.
    """

    def __init__(self, roots: Mapping[str, Any], hidden: Iterable[Any]) -> None:
        self._names = {id(root): name for name, root in roots.items()}
        self._hidden = {id(value) for value in hidden}
        self._parents: dict[int, tuple[Any, Any]] = {}
        self._marked: list[tuple[Any, Any]] = []
        self._unmarked: set[str] = set()
        self._kinds = _Kinds()
        collects = gc.isenabled()
        gc.disable()  # the walk keeps all that it makes, and repeated collections would take most of the time
        try:
            for root in roots.values():
                self._walk(root)
        finally:
            if collects:
                gc.enable()
        self.everything = [value for value, _ in self._parents.values()]

    def survivors(self) -> Iterator[Survivor]:
        """Yield each mark that was found, once for each path that ends differently."""
        unique = {(id(parent), id(value)): (parent, value) for parent, value in self._marked}
        for parent, value in unique.values():
            rows = (value if isinstance(value, str) else "", *self._rows(parent, value))
            for step in self._steps(parent, value):  # one string may stand under several keys
                path, places, is_key = self._path(parent, value, step)
                for mark in marks_in_text(value):
                    yield Survivor(mark, path, places, is_key, rows)

    def path_to(self, value: Any) -> str:
        """Return the path to an object that was found."""
        return self._path(self._parents[id(value)][1], value, None)[0]

    def _path(self, parent: Any, value: Any, last: _Step | None) -> tuple[str, tuple[tuple[int, str], ...], bool]:
        labels, places, is_key, child, root = list[str](), list[tuple[int, str]](), False, value, value
        for root in self._chain(parent):
            label, key = last if last is not None and child is value else next(self._steps(root, child))
            labels.append(label)
            if key is not None:
                places.append((id(root), _text_of(key)))
                is_key = is_key or key is child
            child = root
        start = self._names.get(id(root), "?").removeprefix("module ").removeprefix(FILE_PREFIX)
        return start + "".join(reversed(labels)), tuple(places), is_key

    def _rows(self, parent: Any, value: Any) -> Iterator[str]:
        child = value
        for owner in self._chain(parent):
            holder = self._parents[id(owner)][1]
            if not isinstance(holder, _NO_ROWS) and owner is not getattr(holder, "__dict__", None):
                yield beside(child, owner)
            child = owner

    def _walk(self, root: Any) -> None:
        parents, hidden, marked = self._parents, self._hidden, self._marked
        unmarked, kinds = self._unmarked, self._kinds
        pending: list[tuple[Any, Any]] = [(root, None)]
        while pending:
            following: list[tuple[Any, Any]] = []
            for value, parent in pending:  # breadth first, so that the path is a short one
                place = id(value)
                if place in parents or place in hidden or (place in self._names and value is not root):
                    continue
                parents[place] = (value, parent)
                for part in kinds[type(value)].parts(value):
                    kind = type(part)
                    if kind is str:
                        if part not in unmarked:
                            if is_marked(part):
                                marked.append((value, part))
                            else:
                                unmarked.add(part)
                        continue
                    found = kinds[kind]
                    if found.is_text and is_marked(part):
                        marked.append((value, part))
                    if not found.is_atom and id(part) not in parents:
                        following.append((part, value))
            pending = following

    def _steps(self, owner: Any, child: Any) -> Iterator[_Step]:
        """Yield each step from an object to one that it holds, as a path shows it."""
        if not isinstance(owner, dict):
            yield edge(owner, child), None
            return
        holder = self._parents[id(owner)][1]
        has_attributes = isinstance(holder, type) or owner is getattr(holder, "__dict__", None)
        found = [(key, value) for key, value in list(owner.items()) if value is child or key is child]
        for key, value in found:
            yield (f".{key}", None) if value is child and has_attributes else (f"[{short(key)}]", key)
        if not found:
            yield "[…]", None

    def _chain(self, value: Any) -> Iterator[Any]:
        while value is not None:
            yield value
            value = self._parents[id(value)][1]


def lasting_roots(templates: Mapping[str, Any], modules_first: Iterable[str]) -> dict[str, Any]:
    """Return the objects at which paths may begin, by name."""
    roots = dict(templates)
    names = [*modules_first, *(name for name in list(sys.modules) if name not in modules_first)]
    for name in names:
        if not name.startswith(OWN) and name.partition(".")[0] not in TEST_RUNNERS and name in sys.modules:
            roots[f"module {name}"] = sys.modules[name]
    loop = asyncio.get_running_loop()
    ours = {threading.current_thread(), threading.main_thread(), *_threads(None)}  # in which a slow tool may still run
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread not in ours and thread.ident in frames:
            roots[f"thread {thread.name!r}"] = frames[thread.ident]
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            coroutine = task.get_coro()
            roots[f"the task of {getattr(coroutine, '__qualname__', coroutine)}, which still runs"] = task
    for handle in getattr(loop, "_scheduled", ()):
        roots[f"the timer of {getattr(handle._callback, '__qualname__', handle._callback)}"] = handle
    roots["the event loop"] = loop
    return roots


async def thread_values(heap: Heap) -> list[tuple[str, Any]]:
    """Return the values of context variables and thread-locals in the threads of pools, each with its path."""
    found = heap.everything
    pools: list[tuple[str, ThreadPoolExecutor | None]] = [("the event loop", None)]
    # `isinstance` would also ask each object for its `__class__`, which objects that stand for others answer slowly.
    pools += [(heap.path_to(value), value) for value in found if issubclass(type(value), ThreadPoolExecutor)]
    locals_found = {heap.path_to(value): value for value in found if issubclass(type(value), threading.local)}
    values: list[tuple[str, Any]] = []
    for name, pool in pools:
        for kept in await _ask_threads(pool, locals_found):
            values += [(f"{what} in a thread of {name}", value) for what, value in kept.items()]
    return values


async def threads_at_rest(limit: float) -> None:
    """Wait until the threads of the event loop have finished what turns left running, at most `limit` seconds."""
    count, loop = len(_threads(None)), asyncio.get_running_loop()
    barrier = threading.Barrier(max(count, 1))

    def meet() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(limit)

    await asyncio.gather(*(loop.run_in_executor(None, meet) for _ in range(count)))


def _threads(pool: ThreadPoolExecutor | None) -> set[threading.Thread]:
    executor: Any = pool or asyncio.get_running_loop()._default_executor  # type: ignore[attr-defined]
    return set() if executor is None or executor._shutdown else executor._threads


async def _ask_threads(
    pool: ThreadPoolExecutor | None, thread_locals: Mapping[str, threading.local]
) -> list[dict[str, Any]]:
    count = len(_threads(pool))
    barrier = threading.Barrier(max(count, 1))

    def ask() -> dict[str, Any]:
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(1)  # so that each thread is asked once
        kept = {f"context variable {variable.name!r}": value for variable, value in copy_context().items()}
        return kept | {f"thread-local {path}": dict(each.__dict__) for path, each in thread_locals.items()}

    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(loop.run_in_executor(pool, ask) for _ in range(count)))


def _entries(cache: Any) -> dict[Any, Any]:
    """Return the entries of a `functools.lru_cache`, which only the garbage collector can see."""
    parts = gc.get_referents(cache)  # its type, then key, result and type of each link, then a dictionary
    links, place = {}, 1
    while getattr(parts[place + 2], "__name__", "") == "_lru_list_elem":
        links[parts[place]] = parts[place + 1]
        place += 3
    return links or parts[place]


def _parts_of(kind: type) -> Callable[[Any], Iterable[Any]]:
    """Return the function that lists what an object of a type refers to."""
    module = kind.__module__
    if isinstance(module, str) and module.partition(".")[0] in TEST_RUNNERS:
        return _nothing
    if issubclass(kind, (BuiltinFunctionType, Context)):
        return _nothing  # the context of a task belongs to its turn; `thread_values` searches those of threads
    if issubclass(kind, _LruCache):
        return lambda value: [_entries(value), value.__wrapped__, value.__dict__]
    if issubclass(kind, ModuleType):
        return lambda value: [value.__dict__]
    if issubclass(kind, FrameType):
        return lambda value: [dict(value.f_locals)]
    return parts if issubclass(kind, NOT_WHOLLY_COLLECTED) else gc.get_referents


def _nothing(_: Any) -> Iterable[Any]:
    return ()


def _text_of(key: Any) -> str:
    if isinstance(key, (str, bytes)):
        return key if isinstance(key, str) else key.decode("latin-1")
    return f"{key!r} {sorted(mark.text for mark in find_marks(key))}"
