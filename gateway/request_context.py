"""The request context: values of the current request, for logs and configuration.

It holds no credential, and no decision depends on it. Tasks and threads that are started with `asyncio.create_task` and
`asyncio.to_thread` inherit it. While a gateway runs, functions in the loop's default executor do, too. For any other
thread pool, use `carry`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


PERSONAL = frozenset({"USER_NAME", "LOCALE", "TIMEZONE"})
"""The names of values that describe a person. The log leaves these values out."""


class _Scope:
    """A `request_context` block. When it is over, the tasks that it started no longer see its values."""

    over = False


@dataclass(frozen=True, slots=True)
class _Values:
    mapping: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    scope: _Scope = field(default_factory=_Scope)
    outer: "_Values | None" = None


_NONE = _Values()
_current: ContextVar[_Values] = ContextVar("request_context", default=_NONE)


def get_from_context(key: str, default: Any = None) -> Any:
    """Return a value of the current request.

    Args:
        key: a name like USER_ID.
        default: the result if there is no such value, or no request.
    """
    return _values().mapping.get(key, default)


def get_request_context() -> Mapping[str, Any]:
    """Return all values of the current request, as a read-only mapping that never changes."""
    return _values().mapping


def set_request_context(mapping: Mapping[str, Any]) -> None:
    """Replace all values until the end of the `request_context` block in which this is called."""
    now = _values()
    _current.set(_Values(MappingProxyType(dict(mapping)), now.scope, now.outer))


def update_request_context(**values: Any) -> None:
    """Add values until the end of the `request_context` block in which this is called."""
    set_request_context({**get_request_context(), **values})


def clear_request_context() -> None:
    """Remove all values until the end of the `request_context` block in which this is called."""
    set_request_context({})


@contextmanager
def request_context(mapping: Mapping[str, Any]) -> Iterator[None]:
    """Add values for a block, and for the tasks and threads that are started in it.

    The end of the block restores the earlier values, even after an exception. Tasks that outlive the block no longer
    see its values.
    """
    outer, scope = _values(), _Scope()
    token = _current.set(_Values(MappingProxyType({**outer.mapping, **mapping}), scope, outer))
    try:
        yield
    finally:
        scope.over = True
        with suppress(ValueError):  # the block ends in a different task than it began in
            _current.reset(token)


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function bound to the current values, for a thread pool whose threads do not inherit them.

    Use it as `pool.submit(carry(function), argument)`. The result may be called many times and concurrently.
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
