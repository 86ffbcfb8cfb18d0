"""Delivery errors from the responses of the host application.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#delivery-success-and-failure
"""

import httpx

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.channels.http_errors import retry_after

GONE = (404, 410)
TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
MAX_REASON = 200  # characters of a response that are kept


def delivery_error(answer: httpx.Response) -> Exception | None:
    """Translate the host's response to a delivery into an error; return `None` if the host accepted the delivery."""
    status = answer.status_code
    if answer.is_success and not _is_page(answer):
        return None
    if status == TOO_MANY_REQUESTS or (status == UNAVAILABLE and "retry-after" in answer.headers):
        return RetryLaterError(retry_after(answer.headers))
    if answer.is_success or status >= 500:
        return DeliveryAmbiguousError(f"the host answered {status}, and may have accepted the message")
    if _is_page(answer) or status < 400:
        return ConnectionError(f"the answer {status} is from a proxy, or WEBHOOK_URL is an address that redirects")
    refusal = RecipientUnreachableError if status in GONE else DeliveryRefusedError
    return refusal(f"{status}: {answer.text[:MAX_REASON]}")


def _is_page(answer: httpx.Response) -> bool:
    """Return whether a response is an HTML page, which comes from a proxy and not from the host."""
    return "html" in answer.headers.get("content-type", "") and answer.text.lstrip().startswith("<")
