"""Two interfaces of one kind in one gateway share nothing, even if tenant, people and ids are the same."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.stage import CANCEL, IMPATIENT, Orders, Stage, StageChannel, Vault, obey, texts_told

from gateway import Agent, Gateway, Identity, Route, TurnContext
from gateway.channels import Feedback, PressOutcome, Rating, RetryLaterError
from gateway.testing import make_migrated, place
from oauth import Keyring
from toolkits import Toolkit, tool


class Kitchen(Toolkit):
    """A toolkit that asks people what to order."""

    @tool
    async def order_pizza(self, context: TurnContext) -> str:
        """Order a pizza."""
        return f"pizza with {await context.ask('What on it?')}"


@dataclass
class Pair:
    """Two interfaces of one kind, and what the agent of each was told.

    Args:
        first: the interface without a name.
        second: the one with a name.
    """

    first: Stage
    second: Stage
    orders: Orders
    told: dict[str, list[str]] = field(default_factory=lambda: {"first": [], "second": []})


@asynccontextmanager
async def opened(directory: Path, database: str) -> AsyncIterator[Pair]:
    """Run a gateway with two interfaces, and an agent for each."""
    orders, vault, told = Orders(), Vault(), dict[str, list[str]](first=[], second=[])

    def agent(name: str) -> Agent:
        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            told[name] = texts_told(messages)
            return await obey(messages, info)

        return Agent(model=FunctionModel(answer), toolkits=[vault, orders, Kitchen()])

    channels = (StageChannel(), StageChannel(name="second"))
    if database.startswith("sqlite"):
        make_migrated(directory / "stage.db")
    template, named = agent("first"), agent("second")
    options: dict[str, Any] = {
        "routes": [Route(named, channel="stage.second")],
        "base_url": "https://bot.test",
        "secret_key": Keyring.generate(),
        "timings": IMPATIENT,
    }
    gateway = Gateway(template, channels, database, **options)
    async with AsyncExitStack() as stack:
        if gateway.needs_workers:
            await stack.enter_async_context(Gateway(template, channels, database, **options).worker())
        await stack.enter_async_context(gateway.lifespan())
        first, second = (Stage(gateway, channel, database) for channel in channels)
        yield Pair(first, second, orders, told)


async def test_each_has_its_own_agent_and_history(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as pair:
        await pair.first.ask("alice", "my PIN is 1234")
        assert await pair.second.ask("alice", "what is my PIN?") == "heard: what is my PIN?"
        assert pair.told["second"] == ["what is my PIN?"]
        await pair.first.ask("alice", "again")
        assert pair.told["first"] == ["my PIN is 1234", "heard: my PIN is 1234", "again"]


async def test_the_same_event_id_is_a_message_in_each(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as pair:
        for scene in (pair.first, pair.second):
            assert await scene.write("alice", "hello", id="e1", message_key="m1")
            assert not await scene.write("alice", "hello", id="e1", message_key="m1")
            assert [sent.text for sent in await scene.wait_for(1)] == ["heard: hello"]


async def test_an_account_is_connected_in_one_alone(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as pair:
        await pair.first.write("alice", "call open_vault")
        link = (await pair.first.wait_for(1))[0].link
        assert link is not None
        await pair.first.connect(link, "alice")
        assert (await pair.first.wait_for(2))[1].text == "SECRET-alice"
        await pair.second.write("alice", "call open_vault")
        (asked,) = await pair.second.wait_for(1)
        assert (asked.text, asked.link is not None) == ("", True)
        host = pair.first.gateway.host
        accounts = [await host.accounts(Identity(name, "T1", "alice")) for name in ("stage", "stage.second")]
        assert [len(found) for found in accounts] == [1, 0]


async def test_a_press_of_a_button_counts_only_where_it_was_asked(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as pair:
        await pair.first.write("alice", CANCEL)
        card = (await pair.first.wait_for(1))[0].card
        assert card is not None
        assert (await pair.second.press("alice", card, "Approve")).outcome is PressOutcome.NOT_YOURS
        await pair.second.write("alice", "yes")
        assert (await pair.second.wait_for(1))[0].text == "heard: yes"
        assert pair.orders.cancelled == []
        assert (await pair.first.press("alice", card, "Approve")).outcome is PressOutcome.TAKEN
        assert (await pair.first.wait_for(2))[1].text == "cancelled 4711"


async def test_a_private_message_of_another_bot_does_not_come_between_question_and_answer(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path, database_url) as pair:
        await pair.first.write("alice", "call order_pizza")
        await pair.first.wait_for(1)
        link = await pair.second.gateway.sign_in_link(Identity("stage.second", "T1", "alice"), "Alice", "fake")
        await pair.second.connect(link, "alice")
        await pair.second.write("alice", "call open_vault", "room")
        assert [(sent.text, sent.alone) for sent in await pair.second.wait_for(1)] == [("SECRET-alice", "alice")]
        await pair.first.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
        await pair.first.write("alice", "ham")
        assert (await pair.first.wait_for(2))[1].text == "pizza with ham"


async def test_a_rate_limit_of_one_does_not_delay_the_other(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as pair:
        pair.first.channel.presenter.failures = [RetryLaterError(600, is_for_tenant=True)]
        await pair.first.write("alice", "hello")
        await pair.first.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        assert await pair.second.ask("alice", "hello") == "heard: hello"
        assert pair.first.sent == []


async def test_a_rating_is_for_an_answer_of_the_same_bot(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as pair:
        await pair.first.ask("alice", "hello")
        await pair.first.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
        ((platform_id,),) = pair.first.rows("SELECT platform_id FROM outbox")

        async def rate(channel: str) -> bool:
            where, person = place("dm-alice", channel=channel), Identity(channel, "T1", "alice")
            return await pair.first.gateway.host.rate(Feedback(person, where, Rating.UP, platform_id=platform_id))

        assert not await rate("stage.second")
        assert await rate("stage")
