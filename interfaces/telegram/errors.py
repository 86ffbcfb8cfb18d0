"""Translate failed calls of the Bot API into the delivery errors of the gateway."""

from contextlib import AbstractContextManager

from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from gateway.channels import DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.channels.http_errors import delivery_errors


class ChatMovedError(DeliveryRefusedError):
    """A group became a supergroup, which has another id.

    https://core.telegram.org/bots/api#responseparameters

    Attributes:
        new_id: the id of the supergroup.
    """

    def __init__(self, reason: str, new_id: int) -> None:
        super().__init__(reason)
        self.new_id = new_id


def telegram_errors() -> AbstractContextManager[None]:
    """Translate the errors of a call of the Bot API: see `delivery_errors`."""
    return delivery_errors("Telegram", _meaning)


def _meaning(error: Exception) -> Exception | None:
    """Return the delivery error for an error of `send_message`.

    An error without a cause is an answer of Telegram's own with `"ok": false`, which means that nothing was sent
    (https://core.telegram.org/bots/api#making-requests). In all other cases nobody can tell whether the message
    arrived, as a bot cannot read what it sent.
    """
    match error:
        case RetryAfter():
            return RetryLaterError(wait_of(error))
        case BadRequest() | Forbidden() | InvalidToken() | Conflict() if error.__cause__ is not None:
            return ConnectionError(f"a proxy refused it: {error.message}")
        case ChatMigrated():
            return ChatMovedError(error.message, error.new_chat_id)
        case Forbidden():
            return RecipientUnreachableError(error.message)
        case BadRequest():
            return (RecipientUnreachableError if "chat not found" in error.message.lower() else DeliveryRefusedError)(
                error.message
            )
        case NetworkError() | InvalidToken() | Conflict() if error.__cause__ is None:
            return ConnectionError(f"Telegram did not accept it: {error.message}")
    return None


def wait_of(error: RetryAfter) -> float:
    """Return the seconds that Telegram asks to wait."""
    after = error.retry_after
    return float(after) if isinstance(after, (int, float)) else after.total_seconds()
