"""Translate the errors of the HTTP clients that channels use, aiohttp and httpx, into delivery errors."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.channels.errors import DeliveryAmbiguousError, DeliveryError
from gateway.retries import retry_after as retry_after

NOT_CONNECTED = {
    "aiohttp": ("ClientConnectorError", "ConnectionTimeoutError"),
    "httpx": ("ConnectError", "ConnectTimeout", "PoolTimeout"),
}
"""Errors of each client after which no connection was made, so nothing was sent."""

Meaning = Callable[[Exception], Exception | None]
"""Translates an error of a platform's library into a delivery error; returns `None` if the platform did not answer."""


@contextmanager
def delivery_errors(platform: str, meaning: Meaning) -> Iterator[None]:
    """Translate the exceptions of a call to a platform into delivery errors. A `DeliveryError` passes unchanged.

    Args:
        platform: the platform's name, as people know it.
        meaning: translates the errors that the platform's library raises for an answer.

    Raises:
        DeliveryError: the error that `meaning` returns; a `DeliveryAmbiguousError` if it returns `None`, because the
            answer was lost or cannot be read.
        ConnectionError: if the platform could not be reached.
    """
    try:
        yield
    except DeliveryError:
        raise
    except Exception as error:
        raise _translated(platform, meaning, error) from error


def _translated(platform: str, meaning: Meaning, error: Exception) -> Exception:
    not_connected = tuple(_not_connected())
    if isinstance(error, not_connected) or isinstance(error.__cause__, not_connected):
        return ConnectionError(f"{platform} cannot be reached: {error}")
    lost = DeliveryAmbiguousError(f"{platform}'s answer was lost or cannot be read: {error!r}")
    return meaning(error) or lost


def _not_connected() -> Iterator[type[Exception]]:
    """Yield the errors of the clients that are imported: a channel that uses one client need not import the other."""
    for client, names in NOT_CONNECTED.items():
        if (module := sys.modules.get(client)) is not None:
            yield from (getattr(module, name) for name in names)
