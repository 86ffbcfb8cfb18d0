from gateway.retries import bounded_wait
from oauth.errors import UnderstudyError

RETRY_AFTER = 5  # seconds, where the database cannot be used


class DeliveryRefusedError(UnderstudyError):
    """The platform will never take this: there is no point in trying again."""


class RecipientUnreachableError(DeliveryRefusedError):
    """Nothing can be sent there any more: nor that something could not be sent."""


class DeliveryAmbiguousError(UnderstudyError):
    """It is not known whether the platform took this: the answer was lost, or said that something went wrong there."""


class RetryLaterError(UnderstudyError):
    """The platform did not take this, and asks to send nothing for the tenant for so many seconds.

    Args:
        seconds: taken for an hour if it is more, and for a second if it is less.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = bounded_wait(seconds)
        super().__init__(f"in {self.seconds} seconds")


class EventNotAcceptedError(UnderstudyError):
    """An event was not committed, so the platform has to deliver it again. The gateway answers its webhook 503.

    Args:
        retry_after: seconds to wait until then.
    """

    def __init__(self, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(f"again in {retry_after} seconds")
        self.retry_after = retry_after
