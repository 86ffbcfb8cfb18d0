"""Values of the turn at hand for log lines and configuration. Never a credential, never what decides anything."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_EMPTY: Mapping[str, str] = MappingProxyType({})
_values: ContextVar[Mapping[str, str]] = ContextVar("request_context", default=_EMPTY)


def current() -> Mapping[str, str]:
    return _values.get()


@contextmanager
def bind(**values: str) -> Iterator[None]:
    """Adds values for the block, and for the tasks and threads that are started in it."""
    token = _values.set(MappingProxyType({**_values.get(), **values}))
    try:
        yield
    finally:
        _values.reset(token)
