"""Tools for the tests of toolkits and channels: see docs/testing.md."""

from gateway.testing.channel import TENANT, RecordingPresenter, Sent, StageChannel, place
from gateway.testing.contract import Check, ContractBrokenError, channel_contract
from gateway.testing.databases import make_migrated
from gateway.testing.model import obey
from gateway.testing.platform import Answer, Call, Failure, Platform, StandIn
from gateway.testing.provider import FakeProvider
from gateway.testing.samples import (
    BASE_URL,
    Expected,
    ExpectedMessage,
    NoTurn,
    Refused,
    SameMessage,
    Sample,
    SampleError,
    read_samples,
)
from gateway.testing.stage import STAGE_TIMINGS, Stage, stage, stage_timings
from gateway.testing.waiting import wait_until

__all__ = [
    "BASE_URL",
    "STAGE_TIMINGS",
    "TENANT",
    "Answer",
    "Call",
    "Check",
    "ContractBrokenError",
    "Expected",
    "ExpectedMessage",
    "Failure",
    "FakeProvider",
    "NoTurn",
    "Platform",
    "RecordingPresenter",
    "Refused",
    "SameMessage",
    "Sample",
    "SampleError",
    "Sent",
    "Stage",
    "StageChannel",
    "StandIn",
    "channel_contract",
    "make_migrated",
    "obey",
    "place",
    "read_samples",
    "stage",
    "stage_timings",
    "wait_until",
]
