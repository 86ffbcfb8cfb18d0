"""Channels are told whether their process receives webhooks, and can do something in only one process."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from support.stage import StageChannel, stage

from gateway import Agent, Gateway, SettingError
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


class Rejected(StageChannel):
    """A channel whose platform rejects its token.

    Args:
        name: the name of the channel.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.channel = name

    async def start(self, host: Host) -> None:
        raise SettingError(f"The token of {self.channel} was rejected.")


async def test_a_start_names_the_rejected_settings_of_all_channels(tmp_path: Path) -> None:
    gateway = Gateway(Agent(model="test"), [Rejected("one"), Rejected("two")], stage(tmp_path).database)
    with pytest.raises(SettingError, match=r"(?s)2 errors:\nThe token of one was .*\nThe token of two was"):
        async with gateway.lifespan():
            pass


class Reading(StageChannel):
    """A channel that does something which only one process may do, from its start to its stop."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = asyncio.Event()

    async def start(self, host: Host) -> None:
        await super().start(host)
        self._task = asyncio.create_task(host.exclusively("stage/read", self._read))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await super().stop()

    async def _read(self) -> None:
        self.reads.set()
        await asyncio.Event().wait()


async def test_a_channel_reads_in_one_process_and_in_another_one_once_that_has_stopped(
    postgres: PostgresServer,
) -> None:
    url = postgres.make()
    first, second = Reading(), Reading()
    async with AsyncExitStack() as stack:
        async with Gateway(Agent(model="test"), [first], url).lifespan():
            await asyncio.wait_for(first.reads.wait(), 20)
            await stack.enter_async_context(Gateway(Agent(model="test"), [second], url).lifespan())
            assert not second.reads.is_set()
        await asyncio.wait_for(second.reads.wait(), 20)
