"""The contract between the gateway and its channels: what a channel implements, and what it may use."""

from gateway.channels.errors import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    EventNotAcceptedError,
    RecipientUnreachableError,
    RetryLaterError,
)
from gateway.channels.event import Event, MalformedEventError, check_id
from gateway.channels.host import Host
from gateway.channels.interface import Interface
from gateway.channels.live import LiveView, MessageView, Step, Steps
from gateway.channels.presenter import Delivery, Presenter, SignIn
from gateway.history.threads import Thread, ThreadStore
from gateway.history.transcript import TranscriptEntry

__all__ = [
    "Delivery",
    "DeliveryAmbiguousError",
    "DeliveryRefusedError",
    "Event",
    "EventNotAcceptedError",
    "Host",
    "Interface",
    "LiveView",
    "MalformedEventError",
    "MessageView",
    "Presenter",
    "RecipientUnreachableError",
    "RetryLaterError",
    "SignIn",
    "Step",
    "Steps",
    "Thread",
    "ThreadStore",
    "TranscriptEntry",
    "check_id",
]
