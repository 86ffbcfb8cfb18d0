"""Channels are told whether their process receives webhooks."""

from pathlib import Path

from peers.postgres import PostgresServer
from support.stage import StageChannel, stage

from gateway import Agent, Gateway
from gateway.channels import Host


class Listening(StageChannel):
    """A channel that records at its start whether its process takes events."""

    def __init__(self) -> None:
        super().__init__()
        self.takes_events: bool | None = None

    async def start(self, host: Host) -> None:
        await super().start(host)
        self.takes_events = host.takes_events


async def test_a_channel_is_told_that_a_process_with_webhooks_takes_events(tmp_path: Path) -> None:
    channel = Listening()
    scene = stage(tmp_path)
    async with Gateway(Agent(model="test"), [channel], scene.database).lifespan():
        assert channel.takes_events is True


async def test_a_channel_is_told_that_a_worker_takes_no_events(postgres: PostgresServer) -> None:
    url = postgres.make()
    channels = (Listening(), Listening())
    serving, working = (Gateway(Agent(model="test"), [channel], url) for channel in channels)
    async with serving.lifespan(), working.worker():
        assert [channel.takes_events for channel in channels] == [True, False]
