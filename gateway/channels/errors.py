"""The errors of channels: failed deliveries, and events that were not accepted."""

from gateway.retries import bounded_wait
from oauth.errors import UnderstudyError

RETRY_AFTER = 5  # seconds, if the database cannot be used


class DeliveryError(UnderstudyError):
    """The platform did not confirm a message. A channel raises one of the errors below."""


class DeliveryRefusedError(DeliveryError):
    """The platform refuses a message permanently.

    The outbox makes it a dead letter and says in the conversation that something could not be delivered. A private text
    (`Presenter.send_private_text`) is held for a day instead, and sent if the person writes to the bot directly.
    """


class RecipientUnreachableError(DeliveryRefusedError):
    """Nothing can be delivered to this conversation any more: the bot was blocked or removed, the channel is gone.

    The outbox makes the message a dead letter, as after `DeliveryRefusedError`, but says nothing in the conversation.
    """


class DeliveryAmbiguousError(DeliveryError):
    """The platform may have received the message: its answer was lost, or reports a failure of the platform.

    The outbox waits and calls `Presenter.was_sent`. A message that arrived counts as sent, and one that did not is sent
    again. If the platform cannot tell, `UNDERSTUDY_AMBIGUOUS_SENDS` decides: the message is sent again with a mark
    (`Presenter.mark_repeated`), or becomes a dead letter.
    """


class RetryLaterError(DeliveryError):
    """The platform did not take the message because of a rate limit, and asks for a pause.

    The outbox sends nothing to the conversation during the pause. The attempt does not count as a try.

    Args:
        seconds: the length of the pause; it is limited to between a second and an hour.
        is_for_tenant: whether the rate limit is for the whole tenant. Then nothing is sent to any of its conversations.
        place: the id of the chat to which the rate limit applies, if it is not that of one conversation. Nothing is
            sent to the conversations whose id is `place`, or begins with `place` and a slash, like threads of a chat.
    """

    def __init__(self, seconds: float, *, is_for_tenant: bool = False, place: str | None = None) -> None:
        self.seconds = bounded_wait(seconds)
        self.is_for_tenant = is_for_tenant
        self.place = place
        super().__init__(f"in {self.seconds} seconds")


class PreviewGoneError(DeliveryError):
    """A preview cannot be replaced by the answer, because it was deleted or is too old.

    The outbox sends the answer as a new message.
    """


class EventNotAcceptedError(UnderstudyError):
    """An event was not committed. The gateway answers its webhook 503, so that the platform delivers it again.

    Args:
        retry_after: the `Retry-After` of the response, in seconds.
    """

    def __init__(self, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(f"again in {retry_after} seconds")
        self.retry_after = retry_after
