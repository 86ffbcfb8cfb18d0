"""The webhook keeps the contract of a channel."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from standardwebhooks.webhooks import Webhook as Signer
from understudy_webhook import Webhook
from understudy_webhook.format import LIMIT

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RecipientUnreachableError, RetryLaterError
from gateway.testing import Answer, Check, Failure, Platform, Sample, channel_contract, read_samples

SECRET = f"whsec_{base64.b64encode(b'a secret of thirty-two bytes....').decode()}"


def sign(sample: Sample) -> Mapping[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(SECRET).sign("msg_1", now, sample.body.decode()),
    }


CHECKS = channel_contract(
    lambda url: Webhook(SECRET, url),
    read_samples(files("understudy_webhook") / "sample_messages.md"),
    sign=sign,
    platform=Platform(
        limit=LIMIT,
        answer=lambda call: Answer({}),
        failures=[
            Failure("too many requests", Answer({}, 429, {"Retry-After": "7"}), RetryLaterError, seconds=7),
            Failure("a conversation that is gone", Answer({"error": "gone"}, 410), RecipientUnreachableError),
            Failure("a message that is not taken", Answer({"error": "too long"}, 400), DeliveryRefusedError),
            Failure("an internal error", Answer({}, 500), DeliveryAmbiguousError),
        ],
    ),
)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_contract(check: Check) -> None:
    check()
