"""Values of the request at hand, for logs and configuration: never a credential, and never what decides anything.

They are those of the task that runs, and of the tasks and threads that it starts: by `asyncio.create_task`,
`asyncio.to_thread`, the loop's default executor while a gateway runs, and any other pool by `carry`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Scope:
    """A block in which values hold; when it is over, they are gone for whatever was started in it, too."""

    over = False


@dataclass(frozen=True, slots=True)
class _Values:
    mapping: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    scope: _Scope = field(default_factory=_Scope)
    outer: "_Values | None" = None


_NONE = _Values()
_current: ContextVar[_Values] = ContextVar("request_context", default=_NONE)


def get_from_context(key: str, default: Any = None) -> Any:
    """A value of the request at hand.

    Args:
        key: like USER_ID.
        default: what is returned where there is no such value, or no request.
    """
    return _values().mapping.get(key, default)


def get_request_context() -> Mapping[str, Any]:
    """All values of the request at hand. The mapping is read-only, and never changes."""
    return _values().mapping


def set_request_context(mapping: Mapping[str, Any]) -> None:
    """Puts other values in the place of all that hold, until the block ends in which they are set."""
    now = _values()
    _current.set(_Values(MappingProxyType(dict(mapping)), now.scope, now.outer))


def update_request_context(**values: Any) -> None:
    """Adds values to those that hold, until the block ends in which they are set."""
    set_request_context({**get_request_context(), **values})


def clear_request_context() -> None:
    """Takes all values away."""
    set_request_context({})


@contextmanager
def request_context(mapping: Mapping[str, Any]) -> Iterator[None]:
    """Adds values to those that hold, for a block and what is started in it.

    When it ends, what held before holds again, whatever happened in it; and what was started in it and still runs sees
    its values no more.
    """
    outer, scope = _values(), _Scope()
    token = _current.set(_Values(MappingProxyType({**outer.mapping, **mapping}), scope, outer))
    try:
        yield
    finally:
        scope.over = True
        with suppress(ValueError):  # it ends in another task, which has values of its own
            _current.reset(token)


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """A function for a pool of threads that is not ours, which is run with the values that hold now.

    `pool.submit(carry(function), argument)`. It may be run many times, and side by side.
    """
    context = copy_context()

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return carried


def _values() -> _Values:
    found = _current.get()
    while found.scope.over:
        assert found.outer is not None
        found = found.outer
    return found
