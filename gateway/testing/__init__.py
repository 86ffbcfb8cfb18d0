"""What authors of toolkits and channels need to test their own code: docs/testing.md."""

from gateway.testing.channel import TENANT, RecordingPresenter, Sent, StageChannel, place
from gateway.testing.databases import make_migrated
from gateway.testing.model import obey
from gateway.testing.provider import FakeProvider
from gateway.testing.stage import STAGE_TIMINGS, Stage, stage, stage_timings
from gateway.testing.waiting import wait_until

__all__ = [
    "STAGE_TIMINGS",
    "TENANT",
    "FakeProvider",
    "RecordingPresenter",
    "Sent",
    "Stage",
    "StageChannel",
    "make_migrated",
    "obey",
    "place",
    "stage",
    "stage_timings",
    "wait_until",
]
