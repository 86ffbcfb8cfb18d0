"""Translate failed calls of Slack's Web API into the delivery errors of the gateway."""

from contextlib import AbstractContextManager

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.channels.http_errors import delivery_errors, retry_after

RATE_LIMITED = frozenset({"ratelimited", "rate_limited"})
# Slack failed, and may still have done what it was asked. Every other error that it names is a refusal.
FAILURES = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
# https://docs.slack.dev/reference/methods/chat.postMessage#errors
GONE = frozenset(
    {"account_inactive", "channel_not_found", "invalid_auth", "is_archived", "not_in_channel", "token_revoked"}
)


def slack_errors() -> AbstractContextManager[None]:
    """Translate the errors of a call of the Web API: see `delivery_errors`."""
    return delivery_errors("Slack", _meaning)


def reason_of(error: SlackApiError) -> str | None:
    """Return the error that Slack named; `None` if the answer is not one of Slack's."""
    response = error.response  # an aiohttp response, if the body is not JSON
    data = response.data if isinstance(response, AsyncSlackResponse) else None
    return data.get("error") if isinstance(data, dict) else None


def _meaning(error: Exception) -> Exception | None:
    """Return the delivery error for an error of the Web API; `None` if it is another error.

    https://docs.slack.dev/apis/web-api/rate-limits, and the errors on each method's page
    """
    if not isinstance(error, SlackApiError):
        return None
    response, reason = error.response, reason_of(error)
    status = response.status_code if isinstance(response, AsyncSlackResponse) else response.status
    if status == 429 or reason in RATE_LIMITED:
        return RetryLaterError(retry_after(response.headers))
    if status >= 500 or reason in FAILURES:
        return DeliveryAmbiguousError(f"Slack answered {status} {reason or ''}")
    if reason is None:  # a proxy answered: what it refused did not reach Slack, anything else may have
        return (
            ConnectionError(f"a proxy answered {status}")
            if status >= 400
            else DeliveryAmbiguousError(f"the answer {status} is not one of Slack's")
        )
    return RecipientUnreachableError(reason) if reason in GONE else DeliveryRefusedError(reason)
