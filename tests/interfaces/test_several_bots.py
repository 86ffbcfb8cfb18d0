"""Two Telegram bots, Slack apps or WhatsApp senders in one gateway share nothing."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.channels.pairs import NAME, Pair, SlackPair, TelegramPair, WhatsAppPair
from support.channels.running import URL
from support.channels.slack_api import SlackApi
from support.stage import CANCEL, IMPATIENT, Orders, Vault, obey, texts_told

from gateway import Agent, Gateway, Identity, Route
from gateway.testing import make_migrated
from interfaces.slack import Slack
from oauth import Keyring, Token
from oauth.store.installations import Installation
from oauth.store.tokens import TokenStore


@pytest.fixture
def second_telegram() -> Iterator[TelegramServer]:
    """Telegram's Bot API for another bot."""
    with TelegramServer() as server:
        server.token = "2000000:second-telegram-token"
        yield server


@pytest.fixture
def slack_api() -> Iterator[SlackApi]:
    with SlackApi() as server:
        yield server


@pytest.fixture(params=["telegram", "slack", pytest.param("whatsapp", marks=pytest.mark.processes)])
def pair(request: pytest.FixtureRequest) -> Pair:
    if request.param == "telegram":
        servers = (request.getfixturevalue("telegram"), request.getfixturevalue("second_telegram"))
        return TelegramPair(*servers)
    if request.param == "slack":
        return SlackPair(request.getfixturevalue("slack_api"))
    return WhatsAppPair(request.getfixturevalue("emulate"))


@dataclass
class Scene:
    """A gateway with two bots.

    Attributes:
        told: what the agent of each bot was told last.
    """

    gateway: Gateway
    orders: Orders
    told: list[list[str]] = field(default_factory=lambda: [[], []])


@asynccontextmanager
async def running(pair: Pair, directory: Path) -> AsyncIterator[Scene]:
    orders, vault, told = Orders(), Vault(), list[list[str]]([[], []])

    def agent(at: int) -> Agent:
        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            told[at] = texts_told(messages)
            return await obey(messages, info)

        return Agent(model=FunctionModel(answer), toolkits=[orders, vault])

    make_migrated(directory / "understudy.db")
    gateway = Gateway(
        agent(0),
        pair.interfaces,
        f"sqlite:///{directory}/understudy.db",
        routes=[Route(agent(1), channel=pair.interfaces[1].channel)],
        base_url=URL,
        secret_key=Keyring.generate(),
        timings=IMPATIENT,
    )
    async with (
        gateway.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(gateway.asgi()), base_url=URL) as pair.client,
    ):
        yield Scene(gateway, orders, told)


async def says(pair: Pair, at: int, *texts: str) -> None:
    """Wait until these are the texts of a bot's messages; of a longer one its beginning."""

    def is_said() -> bool:
        said = pair.said(at)
        return len(said) == len(texts) and all(map(str.startswith, said, texts))

    await wait_until_async(is_said, what=f"bot {at} says {texts}")


async def test_each_bot_answers_in_its_own_name_with_its_own_agent_and_history(pair: Pair, tmp_path: Path) -> None:
    async with running(pair, tmp_path) as scene:
        assert await pair.write(0, "my PIN is 1234") == 200
        await says(pair, 0, "heard: my PIN is 1234")
        assert await pair.write(1, "what is my PIN?") == 200
        await says(pair, 1, "heard: what is my PIN?")
        assert scene.told == [["my PIN is 1234"], ["what is my PIN?"]]
        await says(pair, 0, "heard: my PIN is 1234")


async def test_one_and_the_same_event_is_a_message_to_each_bot(pair: Pair, tmp_path: Path) -> None:
    async with running(pair, tmp_path):
        message = pair.message(0, "hello")
        for at in (0, 1):
            request = {**message, "To": pair.message(at, "")["To"]} if isinstance(pair, WhatsAppPair) else message
            for _ in range(2):
                assert await pair.deliver(request, at) == 200
        for at in (0, 1):
            await says(pair, at, "heard: hello")


@pytest.mark.long
async def test_a_press_of_one_bots_button_does_nothing_at_the_other(pair: Pair, tmp_path: Path) -> None:
    async with running(pair, tmp_path) as scene:
        await pair.write(0, CANCEL)
        await wait_until_async(lambda: bool(pair.said(0)), what="a question")
        press = pair.press(0)
        assert await pair.deliver_press(press, 1) == 200
        await pair.write(1, "hello")
        await says(pair, 1, "heard: hello")
        assert scene.orders.cancelled == []
        assert await pair.deliver_press(press, 0) == 200
        await wait_until_async(lambda: pair.said(0)[-1] == "cancelled 4711", what="the order is cancelled")


async def test_a_request_that_is_signed_for_one_bot_is_refused_at_the_other(pair: Pair, tmp_path: Path) -> None:
    async with running(pair, tmp_path):
        assert await pair.deliver(pair.message(1, "hello"), 1, signed_for=0) in (401, 403)
        assert await pair.write(1, "hi") == 200
        await says(pair, 1, "heard: hi")


async def test_an_account_is_connected_at_one_bot_alone(pair: Pair, tmp_path: Path) -> None:
    async with running(pair, tmp_path) as scene:
        await connect(scene, pair.alice(0))
        for at in (0, 1):
            await pair.write(at, "call open_vault")
        await says(pair, 0, "SECRET-alice")
        await wait_until_async(lambda: "sign" in str(pair.said(1)).lower(), what="the other bot asks for a sign-in")
        accounts = [len(await scene.gateway.host.accounts(pair.alice(at))) for at in (0, 1)]
        assert accounts == [1, 0]


async def connect(scene: Scene, person: Identity) -> None:
    """Connect an account of a person."""
    parts, token = scene.gateway.parts, Token("SECRET-alice", None, None, frozenset({"read"}), "alice")
    assert parts.keyring is not None
    async with parts.backend.database.write() as connection:
        await TokenStore(parts.backend.database, parts.keyring).save(connection, person, "fake", token)


async def test_a_file_is_known_to_the_bot_that_got_it_alone(
    telegram: TelegramServer, second_telegram: TelegramServer, tmp_path: Path
) -> None:
    pair = TelegramPair(telegram, second_telegram)
    telegram.add_file("notes", b"the launch is in May")
    async with running(pair, tmp_path) as scene:
        await pair.deliver(
            updates.attached(
                "Read this.",
                document={"file_id": "notes", "file_unique_id": "n", "file_name": "n.txt", "file_size": 20},
            ),
            0,
        )
        await wait_until_async(lambda: bool(pair.said(0)), what="an answer about the file")
        await pair.write(1, "when is the launch?")
        await says(pair, 1, "heard: when is the launch?")
        assert "May" in str(scene.told[0])
        assert scene.told[1] == ["when is the launch?"]
        assert second_telegram.called("getFile") == []


async def test_each_telegram_bot_has_its_own_webhook(
    telegram: TelegramServer, second_telegram: TelegramServer, tmp_path: Path
) -> None:
    async with running(TelegramPair(telegram, second_telegram), tmp_path):
        webhooks = [server.api.webhook for server in (telegram, second_telegram)]
    assert [(each["url"], each["secret_token"]) for each in webhooks] == [
        (f"{URL}/telegram/webhook", "first-secret"),
        (f"{URL}/telegram/support/webhook", "second-secret"),
    ]


async def test_each_slack_app_is_installed_at_its_own_page(slack_api: SlackApi, tmp_path: Path) -> None:
    apps = [
        Slack(signing_secret=secret, api_url=f"{slack_api.url}/api", client_id=client, client_secret="s", name=name)
        for secret, client, name in (("one", "1.1", None), ("two", "2.2", NAME))
    ]
    make_migrated(tmp_path / "understudy.db")
    gateway = Gateway(
        Agent(model="test"),
        apps,
        f"sqlite:///{tmp_path}/understudy.db",
        base_url=URL,
        secret_key=Keyring.generate(),
    )
    transport = httpx.ASGITransport(gateway.asgi())
    async with gateway.lifespan(), httpx.AsyncClient(transport=transport, base_url=URL) as browser:
        page = await browser.get("/slack/support/install")
        link = re.findall(r'href="([^"]+oauth/v2/authorize[^"]*)"', page.text)[0].replace("&amp;", "&")
        asked = parse_qs(urlsplit(link).query)
        assert (asked["client_id"], asked["redirect_uri"]) == (["2.2"], [f"{URL}/slack/support/oauth_redirect"])
        answer = {"code": "code", "state": asked["state"][0]}
        assert (await browser.get("/slack/oauth_redirect", params=answer)).status_code == 400
        assert slack_api.requests == []
        await gateway.host.installations.save(Installation("slack", seed.SLACK_TEAM_ID, "xoxb-first", "U1"))
        body = json.dumps(events.direct_message("hello")).encode()
        assert (
            await browser.post("/slack/support/events", content=body, headers=events.headers(body, "two"))
        ).status_code == 200
    with sqlite3.connect(tmp_path / "understudy.db") as database:
        assert database.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
