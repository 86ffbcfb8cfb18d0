"""Translate what the host application answers into delivery errors.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#delivery-success-and-failure
"""

import httpx

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.channels.http_errors import retry_after

GONE = (404, 410)
TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
MAX_REASON = 200  # characters of an answer that are kept


def meaning(answer: httpx.Response) -> Exception | None:
    """Return what the host's answer to a delivery means; `None` if the host took it."""
    status = answer.status_code
    if answer.is_success and not _is_page(answer):
        return None
    if status == TOO_MANY_REQUESTS or (status == UNAVAILABLE and "retry-after" in answer.headers):
        return RetryLaterError(retry_after(answer.headers))
    if answer.is_success or status >= 500:
        return DeliveryAmbiguousError(f"the host's answer is {status}, and it may have taken the message")
    if _is_page(answer) or status < 400:
        return ConnectionError(f"{status} came from a proxy, or WEBHOOK_URL is not the final address")
    refusal = RecipientUnreachableError if status in GONE else DeliveryRefusedError
    return refusal(f"{status}: {answer.text[:MAX_REASON]}")


def _is_page(answer: httpx.Response) -> bool:
    """Return whether an answer is a page for people: a proxy made it, and not the host."""
    return "html" in answer.headers.get("content-type", "") and answer.text.lstrip().startswith("<")
