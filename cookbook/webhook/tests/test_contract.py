"""The webhook channel keeps the contract of a channel."""

from collections.abc import Mapping
from importlib.resources import files

import pytest
from standardwebhooks import Webhook as StandardWebhook
from understudy_webhook import Webhook
from understudy_webhook.signature import sign

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.testing import Answer, Check, Failure, Platform, Sample, channel_contract, read_samples

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WAIT = {"Retry-After": "7"}
PLATFORM = Platform(
    limit=None,
    answer=lambda call: Answer("", 204),
    failures=[
        Failure("429", Answer({}, 429, WAIT), RetryLaterError, seconds=7),
        Failure("503 with Retry-After", Answer({}, 503, WAIT), RetryLaterError, seconds=7),
        Failure("503", Answer({}, 503), DeliveryAmbiguousError),
        Failure("500", Answer({"detail": "a mistake"}, 500), DeliveryAmbiguousError),
        Failure("404", Answer({"detail": "no such conversation"}, 404), RecipientUnreachableError),
        Failure("410", Answer({}, 410), RecipientUnreachableError),
        Failure("400", Answer({"detail": "too long"}, 400), DeliveryRefusedError),
        Failure("401", Answer({}, 401), DeliveryRefusedError),
        Failure("422", Answer({}, 422), DeliveryRefusedError),
        Failure("a redirect", Answer({}, 308, {"Location": "/elsewhere"}), ConnectionError),
    ],
)


def signed(sample: Sample) -> Mapping[str, str]:
    return sign(StandardWebhook(SECRET), "msg_1", sample.body.decode())


CHECKS = channel_contract(
    lambda url: Webhook(SECRET, url),
    read_samples(files("understudy_webhook") / "sample_messages.md"),
    sign=signed,
    platform=PLATFORM,
)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_contract(check: Check) -> None:
    check()
