"""Translate the errors of the HTTP clients that channels use, aiohttp and httpx, into delivery errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
import httpx

from gateway.channels.errors import DeliveryAmbiguousError, DeliveryError
from gateway.retries import retry_after as retry_after

NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
)
"""Errors after which no connection was made, so nothing was sent."""

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
    if isinstance(error, NOT_CONNECTED) or isinstance(error.__cause__, NOT_CONNECTED):
        return ConnectionError(f"{platform} cannot be reached: {error}")
    lost = DeliveryAmbiguousError(f"{platform}'s answer was lost or cannot be read: {error!r}")
    return meaning(error) or lost
