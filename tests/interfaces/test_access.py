"""The policies of access in each channel, for a stranger who writes directly."""

import re
from pathlib import Path

import httpx
import pytest
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from pydantic_ai.models.function import FunctionModel
from support.channels.pairs import Pair, SlackPair, TelegramPair, WhatsAppPair
from support.channels.running import URL
from support.channels.slack_api import SlackApi
from support.stage import IMPATIENT, obey

from gateway import Agent, Gateway
from gateway.access.entries import AccessList, Entry
from gateway.access.pairing import ADMITTED, NOT_ADMITTED, AccessRequests
from gateway.channels import AccessPolicy
from gateway.testing import make_migrated
from oauth import Keyring


@pytest.mark.parametrize("channel", ["telegram", "slack", pytest.param("whatsapp", marks=pytest.mark.processes)])
async def test_a_stranger_is_answered_after_they_were_admitted(
    channel: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with TelegramServer() as second, SlackApi() as slack_api:
        second.token = "2000000:second-telegram-token"
        pair: Pair
        if channel == "telegram":
            pair = TelegramPair(request.getfixturevalue("telegram"), second)
        else:
            pair = SlackPair(slack_api) if channel == "slack" else WhatsAppPair(request.getfixturevalue("emulate"))
        for interface, policy in zip(pair.interfaces, (AccessPolicy.PAIRING, AccessPolicy.ALLOWLIST), strict=True):
            interface.access = policy
        make_migrated(tmp_path / "understudy.db")
        url, key = f"sqlite:///{tmp_path}/understudy.db", Keyring.generate()
        agent = Agent(model=FunctionModel(obey))
        gateway = Gateway(agent, pair.interfaces, url, base_url=URL, secret_key=key, timings=IMPATIENT)
        transport = httpx.ASGITransport(gateway.asgi())
        async with gateway.lifespan(), httpx.AsyncClient(transport=transport, base_url=URL) as pair.client:
            database = gateway.parts.backend.database
            for at in (0, 1):
                for _ in range(2):
                    assert await pair.write(at, "my secret plan") == 200
                await says(pair, at, 1)
            assert pair.said(1) == [NOT_ADMITTED]
            (code,) = re.findall(r"\b[A-Z2-9]{6}\b", pair.said(0)[0])
            assert await AccessRequests(database).approve(code) == pair.alice(0)
            await AccessList(database).allow(Entry.of(pair.alice(1)))
            await says(pair, 0, 2)
            assert pair.said(0)[1] == ADMITTED
            for at, count in ((0, 3), (1, 2)):
                assert await pair.write(at, "hello") == 200
                await says(pair, at, count)
                assert pair.said(at)[-1] == "heard: hello"


async def says(pair: Pair, at: int, count: int) -> None:
    await wait_until_async(lambda: len(pair.said(at)) == count, what=f"bot {at} says {count} sentences")
