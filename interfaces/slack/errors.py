"""Translate failed calls of Slack's Web API into the delivery errors of the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.channels.requests import retry_after

RATE_LIMITED = frozenset({"ratelimited", "rate_limited"})
# What Slack answers when something went wrong there; every other error that it names stays what it is.
FAILURES = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
# https://docs.slack.dev/reference/methods/chat.postMessage#errors
GONE = frozenset(
    {"account_inactive", "channel_not_found", "invalid_auth", "is_archived", "not_in_channel", "token_revoked"}
)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Translate the errors of a call into those of a presenter.

    Raises:
        DeliveryRefusedError, DeliveryAmbiguousError, RetryLaterError: as what sends does.
        ConnectionError: if Slack did not take the call.
    """
    try:
        yield
    except SlackApiError as error:
        raise _meaning(error) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise ConnectionError(f"Slack cannot be reached: {error}") from error
    except Exception as error:  # a body that is not Slack's fails in the library in many ways
        raise DeliveryAmbiguousError(f"Slack's answer was lost or cannot be read: {error!r}") from error


def reason_of(error: SlackApiError) -> str | None:
    """Return the error that Slack named; `None` if the answer is not one of Slack's."""
    response = error.response  # that of aiohttp, where the body is no JSON
    data = response.data if isinstance(response, AsyncSlackResponse) else None
    return data.get("error") if isinstance(data, dict) else None


def _meaning(error: SlackApiError) -> Exception:
    """https://docs.slack.dev/apis/web-api/rate-limits and the errors of each method."""
    response, reason = error.response, reason_of(error)
    status = response.status_code if isinstance(response, AsyncSlackResponse) else response.status
    if status == 429 or reason in RATE_LIMITED:
        return RetryLaterError(retry_after(response.headers))
    if status >= 500 or reason in FAILURES:
        return DeliveryAmbiguousError(f"Slack answered {status} {reason or ''}")
    if reason is None:  # something between us and Slack answered: a refusal never got there, anything else may have
        return (
            ConnectionError(f"a proxy answered {status}")
            if status >= 400
            else DeliveryAmbiguousError(f"the answer {status} is not one of Slack's")
        )
    return RecipientUnreachableError(reason) if reason in GONE else DeliveryRefusedError(reason)
