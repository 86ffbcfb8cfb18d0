"""Translate failed calls of Twilio's REST API into the delivery errors of the gateway."""

import json
from contextlib import AbstractContextManager
from typing import Any

from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

from gateway.channels import DeliveryAmbiguousError, RetryLaterError
from gateway.channels.http_errors import delivery_errors, retry_after
from gateway.retries import UNKNOWN_WAIT
from interfaces.whatsapp.error_codes import LIMITS, failure


def twilio_errors() -> AbstractContextManager[None]:
    """Translate the errors of a call of the REST API: see `delivery_errors`."""
    return delivery_errors("Twilio", _meaning)


def _meaning(error: Exception) -> Exception | None:
    """Return the delivery error for an error of Twilio's library."""
    if not isinstance(error, (TwilioRestException, TwilioServiceException)):
        return None
    if error.status >= 500:
        return DeliveryAmbiguousError(f"Twilio answered {error.status}")
    if error.code == error.status:  # the library's placeholder for a body that is not from Twilio
        return ConnectionError(f"a proxy answered {error.status}")
    if error.code in LIMITS:
        return RetryLaterError(UNKNOWN_WAIT, is_for_tenant=True)
    return failure(error.code, error.msg if isinstance(error, TwilioRestException) else error.detail or error.title)


class PausingHttpClient(AsyncTwilioHttpClient):  # type: ignore[misc]
    """The library's client, which raises `RetryLaterError` itself: the library's exceptions have no headers.

    https://www.twilio.com/docs/usage/rate-limits-and-request-queuing

    It also sends JSON as JSON, where the library encodes it as a form (https://github.com/twilio/twilio-python/issues/932).
    """

    async def request(self, *args: Any, **options: Any) -> Response:
        if (options.get("headers") or {}).get("Content-Type") == "application/json":
            options["data"] = json.dumps(options["data"])
        response = await super().request(*args, **options)
        if response.status_code == 429:
            raise RetryLaterError(retry_after(response.headers or {}), is_for_tenant=True)
        return response
