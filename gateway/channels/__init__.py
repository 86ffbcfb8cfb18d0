"""The contract between the gateway and its channels: what a channel implements, and what it may use.

A channel implements `Interface` and `Presenter`, raises the errors in this package, and uses the `Host` that runs it.
These modules help: `requests` reads webhooks that are not verified yet, `refusals` logs refused webhooks, `commands`
recognizes commands, `sentences` has the sentences that all channels say, `live` shows a turn while it runs,
`http_errors` translates the errors of HTTP clients, and `uploads` takes files that people upload to the gateway.
"""

from typing import TYPE_CHECKING

from oauth.lazy import import_lazily

if TYPE_CHECKING:
    from gateway.channels.errors import (
        DeliveryAmbiguousError,
        DeliveryError,
        DeliveryRefusedError,
        EventNotAcceptedError,
        PreviewGoneError,
        RecipientUnreachableError,
        RetryLaterError,
    )
    from gateway.channels.event import (
        Change,
        DeliveryReport,
        Event,
        Feedback,
        MalformedEventError,
        Piece,
        Rating,
        check_id,
        digest,
    )
    from gateway.channels.host import Host, Person
    from gateway.channels.interface import AccessPolicy, BotProfile, Interface
    from gateway.channels.live import LiveView, MessageView, Progress, Step, Steps
    from gateway.channels.presenter import Delivery, Presenter, SignIn, TranscriptPresenter
    from gateway.channels.question import Choice, ChoiceStyle, Press, PressOutcome, PressResult, QuestionCard
    from gateway.history.threads import Thread, ThreadStore
    from gateway.history.transcript import TranscriptEntry, TranscriptQuestion
    from gateway.storage.files import FileStore, FileTooLargeError, StoredFile
    from gateway.storage.tables import DeliveryStatus
    from oauth.consent.hooks import ReturnLink
else:
    __getattr__ = import_lazily(__name__, __file__)

__all__ = [
    "AccessPolicy",
    "BotProfile",
    "Change",
    "Choice",
    "ChoiceStyle",
    "Delivery",
    "DeliveryAmbiguousError",
    "DeliveryError",
    "DeliveryRefusedError",
    "DeliveryReport",
    "DeliveryStatus",
    "Event",
    "EventNotAcceptedError",
    "Feedback",
    "FileStore",
    "FileTooLargeError",
    "Host",
    "Interface",
    "LiveView",
    "MalformedEventError",
    "MessageView",
    "Person",
    "Piece",
    "Presenter",
    "Press",
    "PressOutcome",
    "PressResult",
    "PreviewGoneError",
    "Progress",
    "QuestionCard",
    "Rating",
    "RecipientUnreachableError",
    "RetryLaterError",
    "ReturnLink",
    "SignIn",
    "Step",
    "Steps",
    "StoredFile",
    "Thread",
    "ThreadStore",
    "TranscriptEntry",
    "TranscriptPresenter",
    "TranscriptQuestion",
    "check_id",
    "digest",
]
