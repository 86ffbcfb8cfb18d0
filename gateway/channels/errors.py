"""What a channel raises: when a platform does not deliver a message, and when an event is not accepted."""

from gateway.retries import bounded_wait
from oauth.errors import UnderstudyError

RETRY_AFTER = 5  # seconds, where the database cannot be used


class DeliveryError(UnderstudyError):
    """The platform did not confirm a message. A channel raises one of the errors below."""


class DeliveryRefusedError(DeliveryError):
    """The platform refuses a message and always will.

    The outbox makes it a dead letter and says in the conversation that something could not be delivered. A text for one
    person alone (`Presenter.send_private_text`) is held for a day instead, until that person writes directly.
    """


class RecipientUnreachableError(DeliveryRefusedError):
    """Nothing can be delivered to this conversation any more: the bot was blocked or removed, the channel is gone.

    The outbox makes the message a dead letter, as after `DeliveryRefusedError`, but says nothing in the conversation.
    """


class DeliveryAmbiguousError(DeliveryError):
    """Nobody knows whether the platform took the message: the answer was lost, or reports a failure of the platform.

    The outbox waits and asks `Presenter.was_sent`. A message that arrived counts as sent and one that did not is sent
    again. Where the platform cannot tell, `UNDERSTUDY_AMBIGUOUS_SENDS` decides: the message is sent again with a mark
    (`Presenter.mark_repeated`), or becomes a dead letter.
    """


class RetryLaterError(DeliveryError):
    """The platform did not take the message, and asks to be sent nothing for a while: a rate limit.

    The outbox sends nothing to the conversation until then. The attempt does not count.

    Args:
        seconds: to wait. Less than a second is taken for a second, and more than an hour for an hour.
        is_for_tenant: whether the limit is one of the whole tenant: then nothing is sent to any of its conversations.
    """

    def __init__(self, seconds: float, *, is_for_tenant: bool = False) -> None:
        self.seconds = bounded_wait(seconds)
        self.is_for_tenant = is_for_tenant
        super().__init__(f"in {self.seconds} seconds")


class PreviewGoneError(DeliveryError):
    """The message that showed a running turn cannot be replaced by the answer: it was deleted, or is too old.

    The outbox sends the answer as a new message.
    """


class EventNotAcceptedError(UnderstudyError):
    """An event was not committed, so that the platform has to deliver it again. The gateway answers its webhook 503.

    Args:
        retry_after: seconds for the answer's `Retry-After`.
    """

    def __init__(self, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(f"again in {retry_after} seconds")
        self.retry_after = retry_after
