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
"""No connection was made, so that nothing was sent."""

Meaning = Callable[[Exception], Exception | None]
"""Returns what an error of a platform's library means, as a delivery error; `None` if the platform did not answer."""


@contextmanager
def delivery_errors(platform: str, meaning: Meaning) -> Iterator[None]:
    """Translate what a call of a platform raises into delivery errors, which pass as they are.

    Args:
        platform: what people call the platform.

    Raises:
        DeliveryError: as `meaning` says; a `DeliveryAmbiguousError` if the answer was lost or cannot be read, which a
            library may report by any exception.
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
