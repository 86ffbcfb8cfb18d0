"""Translate failed calls of the Bot API into the delivery errors of the gateway."""

from contextlib import AbstractContextManager

from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from gateway.channels import DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.channels.http_errors import delivery_errors


def telegram_errors() -> AbstractContextManager[None]:
    """Translate the errors of a call of the Bot API: see `delivery_errors`."""
    return delivery_errors("Telegram", _meaning)


def _meaning(error: Exception) -> Exception | None:
    """Return what an error of `send_message` means for what was to be sent.

    An answer of Telegram's own that says `"ok": false` means that it was not done, and is an error without a cause
    (https://core.telegram.org/bots/api#making-requests). A bot cannot read what it sent, so that in other cases nothing
    tells whether it arrived.
    """
    match error:
        case RetryAfter():
            return RetryLaterError(_seconds(error))
        case BadRequest() | Forbidden() | InvalidToken() | Conflict() if error.__cause__ is not None:
            return ConnectionError(f"a proxy refused it: {error.message}")
        case Forbidden():
            return RecipientUnreachableError(error.message)
        case BadRequest():
            return (RecipientUnreachableError if "chat not found" in error.message.lower() else DeliveryRefusedError)(
                error.message
            )
        case NetworkError() | InvalidToken() | Conflict() if error.__cause__ is None:
            return ConnectionError(f"Telegram did not take it: {error.message}")
    return None


def _seconds(error: RetryAfter) -> float:
    after = error.retry_after
    return float(after) if isinstance(after, (int, float)) else after.total_seconds()
