"""A question with buttons is decided once, by the person whom it concerns, whichever process gets the press."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from support.stage import CANCEL, Orders, Stage, stage

from gateway import Identity, TurnContext
from gateway.channels import DeliveryAmbiguousError, Press, PressOutcome, QuestionCard
from gateway.operations.personal_data import PersonalData
from gateway.settings import GatewaySettings
from oauth import Keyring, OAuthCoordinator, SettingError
from toolkits import NoAnswerError, Toolkit, tool

PIZZA = "call order_pizza"


class Kitchen(Toolkit):
    """A toolkit that asks people what to order."""

    _clone_shared_attrs = ("ordered", "begun")

    def __init__(self) -> None:
        self.ordered: list[str] = []
        self.begun: list[str] = []

    @tool
    async def order_pizza(self, context: TurnContext) -> str:
        """Order a pizza."""
        self.begun.append(context.identity.user_id)
        size = await context.ask("Which size?", ["Small", "Large"])
        topping = await context.ask("What on it?")
        self.ordered.append(f"{size} with {topping}")
        return self.ordered[-1]

    @tool
    def order_drink(self, context: TurnContext) -> str:
        """Order a drink, from a thread."""
        drink = context.ask_sync("Which drink?", ["Tea", "Coffee"], free_text=True)
        self.ordered.append(drink)
        return f"ordered {drink}"

    @tool
    async def order_soon(self, context: TurnContext) -> str:
        """Order a pizza, if somebody is quick."""
        try:
            return await context.ask("Quick?", ["Yes"], within=timedelta(hours=1))
        except NoAnswerError:
            return "too late"

    @tool
    async def order_now(self, context: TurnContext) -> str:
        """Order when somebody says so."""
        return f"chosen: {await context.ask('Now?', ['Go!', 'Go', 'Not at 5 p.m.'])}"

    @tool
    async def order_nothing(self, context: TurnContext) -> str:
        """Ask a question that cannot be shown."""
        return await context.ask("Which?", ["A", "a"])


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


async def card_of(scene: Stage, count: int = 1) -> QuestionCard:
    """Wait until `count` messages were sent, and return the card of the last one."""
    card = (await scene.wait_for(count))[count - 1].card
    assert card is not None
    return card


async def test_a_press_approves_and_the_card_says_what_was_decided(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        assert [choice.label for choice in card.choices] == ["Approve", "Decline"]
        assert len(card.id) == 22
        result = await scene.press("alice", card, "Approve")
        assert (result.outcome, result.text) == (PressOutcome.TAKEN, "Thank you, I will do it.")
        assert (await scene.wait_for(2))[1].text == "cancelled 4711"
        await scene.wait_until(lambda: "q0" in scene.channel.presenter.closed)
        closed = scene.channel.presenter.closed["q0"]
        assert closed.startswith("May I do this?")
        assert "Approved by Alice on " in closed
        assert orders.cancelled == ["4711"]
    ((decided_by,),) = scene.rows("SELECT decided_by FROM audit WHERE outcome = 'ok'")
    assert decided_by == "stage/T1/alice"


async def test_a_press_declines(tmp_path: Path, orders: Orders) -> None:
    scene = stage(tmp_path, [orders])
    async with scene.open():
        await scene.write("alice", CANCEL)
        await scene.press("alice", await card_of(scene), "Decline")
        assert "The user said no" in (await scene.wait_for(2))[1].text
        assert orders.cancelled == []


async def test_the_wrong_person_presses_first_and_changes_nothing(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await scene.write("alice", CANCEL, "room")
        card = await card_of(scene)
        for stranger, tenant in (("bob", "T1"), ("alice", "T2")):
            result = await scene.press(stranger, card, "Approve", tenant)
            assert result.outcome is PressOutcome.NOT_YOURS
        assert orders.cancelled == []
        assert (await scene.press("alice", card, "Approve")).outcome is PressOutcome.TAKEN
        await scene.wait_for(2)
        assert orders.cancelled == ["4711"]


async def test_presses_at_once_on_two_replicas_decide_once(tmp_path: Path, database_url: str, orders: Orders) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        replicas = [scene.gateway, scene.worker or scene.gateway]
        person = Identity("stage", "T1", "alice")
        presses = [
            replica.host.press(Press(card.id, choice, person, "Alice"))
            for replica in replicas
            for choice in (0, 1)
            for _ in range(2)
        ]
        outcomes = [result.outcome for result in await asyncio.gather(*presses)]
        assert sorted(outcomes) == [PressOutcome.DECIDED] * 7 + [PressOutcome.TAKEN]
        await scene.wait_for(2)
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 1)
    assert len(orders.cancelled) <= 1
    assert scene.rows("SELECT count(*) FROM outbox WHERE kind = 'closed_question'") == [(1,)]


async def test_a_press_after_the_answer_tells_what_was_decided(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        await scene.press("alice", card, "Decline")
        await scene.wait_for(2)
    again = stage(tmp_path, [orders], database=database_url, written=10)
    async with again.open():
        late = await again.press("alice", card, "Approve")
        assert late.outcome is PressOutcome.DECIDED
        assert late.text.startswith("Declined by Alice on ")
        assert orders.cancelled == []


async def test_a_typed_answer_closes_the_card(tmp_path: Path, orders: Orders) -> None:
    scene = stage(tmp_path, [orders])
    async with scene.open():
        for word in ("approve", "1", "Yes!"):
            await scene.write("alice", CANCEL)
            await card_of(scene, len(scene.sent) + 1)
            assert await scene.ask("alice", word) == "cancelled 4711"
        await scene.wait_until(lambda: len(scene.channel.presenter.closed) == 3)
        assert all("Approved by Alice" in text for text in scene.channel.presenter.closed.values())
        card = scene.sent[0].card
        assert card is not None
        assert (await scene.press("alice", card, "Approve")).outcome is PressOutcome.DECIDED


async def test_another_message_withdraws_the_card(tmp_path: Path, orders: Orders) -> None:
    scene = stage(tmp_path, [orders])
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        assert await scene.ask("alice", "4712 instead") == "heard: 4712 instead"
        assert (await scene.press("alice", card, "Approve")).outcome is PressOutcome.CLOSED
        await scene.wait_until(lambda: "another message came" in scene.channel.presenter.closed.get("q0", ""))


async def test_an_unknown_question_is_closed(tmp_path: Path, orders: Orders) -> None:
    scene = stage(tmp_path, [orders])
    async with scene.open():
        press = Press("A" * 22, 0, Identity("stage", "T1", "alice"), "Alice")
        assert (await scene.gateway.host.press(press)).outcome is PressOutcome.CLOSED
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        press = Press(card.id, 2, Identity("stage", "T1", "alice"), "Alice")
        assert (await scene.gateway.host.press(press)).outcome is PressOutcome.CLOSED
        assert orders.cancelled == []


async def test_a_gateway_that_stops_between_the_press_and_the_turn_does_what_was_approved_once(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        await scene.press("alice", card, "Approve")
    again = stage(tmp_path, [orders], database=database_url, written=10)
    async with again.open():
        await again.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 1)
    assert orders.cancelled == ["4711"]


@pytest.mark.processes
async def test_a_press_on_a_process_without_workers_is_played_by_one_that_comes_later(
    tmp_path: Path, postgres: PostgresServer, orders: Orders
) -> None:
    url = postgres.make()
    scene = stage(tmp_path, [orders], database=url)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
    serving = stage(tmp_path, [orders], database=url, written=10)
    async with serving.gateway.lifespan():
        assert (await serving.press("alice", card, "Approve")).outcome is PressOutcome.TAKEN
    assert serving.rows("SELECT status FROM inbox") == [("waiting",)]
    assert orders.cancelled == []
    later = stage(tmp_path, [orders], database=url, written=10)
    async with later.open():
        await later.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 1)
        assert (await later.press("alice", card, "Decline")).outcome is PressOutcome.DECIDED
    assert orders.cancelled == ["4711"]


async def test_an_approver_decides_and_is_named(tmp_path: Path, database_url: str, orders: Orders) -> None:
    boss = Identity("stage", "T1", "boss")
    scene = stage(tmp_path, [orders], database=database_url, approvers=[boss])
    async with scene.open():
        await scene.write("alice", CANCEL)
        sent = await scene.wait_for(2)
        (own,) = [each for each in sent if each.alone is None]
        (theirs,) = [each for each in sent if each.alone == "boss"]
        assert own.card is not None
        assert theirs.card is not None
        assert "for `Alice`" in theirs.text
        assert (await scene.press("bob", theirs.card, "Approve")).outcome is PressOutcome.NOT_YOURS
        assert (await scene.press("boss", theirs.card, "Approve")).outcome is PressOutcome.TAKEN
        assert (await scene.wait_for(3))[2].text == "cancelled 4711"
        assert (await scene.press("alice", own.card, "Decline")).text.startswith("Approved by Boss on ")
        await scene.wait_until(lambda: len(scene.channel.presenter.closed) == 2)
    assert scene.rows("SELECT user_id, decided_by FROM audit WHERE outcome = 'ok'") == [("alice", "stage/T1/boss")]


async def test_an_approver_who_is_erased_is_no_longer_named(tmp_path: Path, database_url: str, orders: Orders) -> None:
    boss = Identity("stage", "T1", "boss")
    scene = stage(tmp_path, [orders], database=database_url, approvers=[boss])
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene, 2)
        await scene.press("boss", card, "Approve")
        await scene.wait_for(3)
        database = scene.gateway.parts.backend.database
        data = PersonalData(database, OAuthCoordinator(database, Keyring.parse(Keyring.generate()), ""))
        await data.erase(boss)
        assert (await scene.press("alice", card, "Approve")).text == "Somebody else decided this."
    assert scene.rows("SELECT decided_by FROM questions") == [(None,)]


async def test_deleting_a_thread_removes_the_cards_of_approvers(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    boss, alice = Identity("stage", "T1", "boss"), Identity("stage", "T1", "alice")
    scene = stage(tmp_path, [orders], database=database_url, approvers=[boss])
    async with scene.open():
        await scene.gateway.host.threads.create(alice, "dm-alice/a", "")
        await scene.write("alice", CANCEL, "dm-alice/a")
        card = await card_of(scene, 2)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
        await scene.gateway.host.threads.delete(alice, "dm-alice/a")
        assert (await scene.press("boss", card, "Approve")).outcome is PressOutcome.CLOSED
    assert scene.rows("SELECT count(*) FROM outbox") == [(0,)]


async def test_an_approver_answers_no_question_of_a_tool(tmp_path: Path, kitchen: Kitchen) -> None:
    scene = stage(tmp_path, [kitchen], approvers=[Identity("stage", "T1", "boss")])
    async with scene.open():
        await scene.write("alice", PIZZA)
        card = await card_of(scene)
        assert (await scene.press("boss", card, "Small")).outcome is PressOutcome.NOT_YOURS
        assert len(scene.sent) == 1


def test_approvers_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_APPROVERS", "slack/T1/U1, telegram/7/8")
    assert GatewaySettings().approvers == (Identity("slack", "T1", "U1"), Identity("telegram", "7", "8"))
    monkeypatch.setenv("UNDERSTUDY_APPROVERS", "U1")
    with pytest.raises(SettingError, match="CHANNEL/TENANT/USER_ID"):
        GatewaySettings()


async def test_an_approver_of_an_unknown_channel_is_named_in_the_log(
    tmp_path: Path, orders: Orders, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path, [orders], approvers=[Identity("slack", "T1", "U1")])
    assert "this gateway has no channel 'slack'" in caplog.text
    async with scene.open():
        await scene.write("alice", CANCEL)
        await scene.press("alice", await card_of(scene), "Approve")
        assert (await scene.wait_for(2))[1].text == "cancelled 4711"


@pytest.mark.long
async def test_a_card_that_may_have_been_sent_is_sent_again_and_either_copy_works(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    scene.channel.presenter.failures = [DeliveryAmbiguousError("no answer")]
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = await card_of(scene)
        assert "Sent again" in card.text
        await scene.press("alice", card, "Approve")
        assert (await scene.wait_for(2))[1].text == "cancelled 4711"


async def test_a_tool_asks_several_questions_and_continues_with_the_answers(
    tmp_path: Path, database_url: str, kitchen: Kitchen
) -> None:
    scene = stage(tmp_path, [kitchen], database=database_url)
    async with scene.open():
        await scene.write("alice", PIZZA)
        size = await card_of(scene)
        assert (size.text, [choice.label for choice in size.choices]) == ("Which size?", ["Small", "Large"])
        await scene.press("alice", size, "Large")
        topping = await card_of(scene, 2)
        assert (topping.text, topping.choices) == ("What on it?", [])
        assert await scene.ask("alice", "olives, please") == "Large with olives, please"
        assert kitchen.ordered == ["Large with olives, please"]
        assert len(kitchen.begun) == 3
        await scene.wait_until(lambda: len(scene.channel.presenter.closed) == 2)
        assert "Large: chosen by Alice" in scene.channel.presenter.closed["q0"]
        assert "Answered by Alice" in scene.channel.presenter.closed["q1"]


async def test_a_question_of_a_tool_is_answered_by_a_choice_or_its_number(tmp_path: Path, kitchen: Kitchen) -> None:
    scene = stage(tmp_path, [kitchen])
    async with scene.open():
        for word, size in (("small", "Small"), ("2", "Large")):
            await scene.ask("alice", PIZZA)
            assert await scene.ask("alice", word) == "What on it?"
            assert await scene.ask("alice", "ham") == f"{size} with ham"


@pytest.mark.parametrize(
    ("word", "choice"),
    [
        ("Go!", "Go!"),
        ("go", "Go"),
        ("2.", "Go"),
        ("not at 5 p.m.", "Not at 5 p.m."),
        ("Not at  5 p.m", "Not at 5 p.m."),
    ],
)
async def test_a_choice_that_ends_in_a_mark_can_be_typed(
    tmp_path: Path, kitchen: Kitchen, word: str, choice: str
) -> None:
    scene = stage(tmp_path, [kitchen])
    async with scene.open():
        await scene.ask("alice", "call order_now")
        assert await scene.ask("alice", word) == f"chosen: {choice}"


async def test_a_text_that_is_no_choice_is_an_ordinary_message_and_the_question_stays_open(
    tmp_path: Path, kitchen: Kitchen
) -> None:
    scene = stage(tmp_path, [kitchen])
    async with scene.open():
        await scene.ask("alice", PIZZA)
        card = await card_of(scene)
        assert await scene.ask("alice", "what do you have?") == "heard: what do you have?"
        assert (await scene.press("alice", card, "Small")).outcome is PressOutcome.TAKEN
        assert (await scene.wait_for(3))[2].text == "What on it?"


async def test_a_tool_in_a_thread_asks(tmp_path: Path, database_url: str, kitchen: Kitchen) -> None:
    scene = stage(tmp_path, [kitchen], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", "call order_drink") == "Which drink?"
        assert await scene.ask("alice", "hot water") == "ordered hot water"
        assert kitchen.ordered == ["hot water"]


async def test_a_shared_conversation_reads_the_question_and_only_its_person_answers(
    tmp_path: Path, database_url: str, kitchen: Kitchen
) -> None:
    scene = stage(tmp_path, [kitchen], database=database_url)
    async with scene.open():
        await scene.write("alice", PIZZA, "room")
        card = await card_of(scene)
        assert (scene.sent[0].conversation, scene.sent[0].alone) == ("room", None)
        assert (await scene.press("bob", card, "Small")).outcome is PressOutcome.NOT_YOURS
        assert await scene.ask("alice", "small") == "heard: small"  # in her direct conversation
        assert await scene.ask("bob", "small", "room") == "heard: small"
        await scene.press("alice", card, "Small")
        assert (await scene.wait_for(4))[3].text == "What on it?"
        assert await scene.ask("alice", "ham", "room") == "Small with ham"


async def test_a_private_turn_asks_only_its_person(tmp_path: Path, kitchen: Kitchen) -> None:
    class Secret(Kitchen):
        private = True

    scene = stage(tmp_path, [Secret()])
    async with scene.open():
        await scene.write("alice", PIZZA, "room")
        card = await card_of(scene)
        assert scene.sent[0].alone == "alice"
        assert (await scene.press("alice", card, "Small")).outcome is PressOutcome.TAKEN


async def test_a_tool_learns_that_nobody_answered_in_time(tmp_path: Path, database_url: str, kitchen: Kitchen) -> None:
    scene = stage(tmp_path, [kitchen], database=database_url)
    async with scene.open():
        await scene.write("alice", "call order_soon")
        card = await card_of(scene)
        await scene.change("UPDATE questions SET until = '2026-01-01 00:00:00.000000'")
        assert (await scene.wait_for(2))[1].text == "too late"
        assert (await scene.press("alice", card, "Yes")).outcome is PressOutcome.CLOSED
        await scene.wait_until(lambda: "Nobody answered in time" in scene.channel.presenter.closed.get("q0", ""))


async def test_an_approval_that_nobody_gave_in_time_is_withdrawn(
    tmp_path: Path, database_url: str, orders: Orders
) -> None:
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await scene.write("alice", CANCEL)
        await card_of(scene)
        await scene.change("UPDATE questions SET until = '2026-01-01 00:00:00.000000'")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 1)
        await scene.wait_until(lambda: "Nobody answered in time" in scene.channel.presenter.closed.get("q0", ""))
        assert orders.cancelled == []


async def test_choices_that_cannot_be_told_apart_are_refused(tmp_path: Path, kitchen: Kitchen) -> None:
    scene = stage(tmp_path, [kitchen])
    async with scene.open():
        assert "choices cannot be shown" in await scene.ask("alice", "call order_nothing")


async def test_a_host_application_has_nobody_to_ask(tmp_path: Path, kitchen: Kitchen) -> None:
    scene = stage(tmp_path, [kitchen])
    async with scene.open():
        message = await scene.gateway.interfaces["stage"].parse(
            '{"id": "1", "text": "call order_pizza", "person": "alice", "place": "dm-alice", "tenant": "T1"}'
        )
        assert message is not None
        assert "Nobody can be asked here" in await scene.gateway.run(message)


async def test_a_long_action_is_asked_in_parts_and_its_last_part_is_the_card(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Orders()])
    async with scene.open():
        order = "x" * 5000
        asked = await scene.ask("alice", f'call cancel {{"order":"{order}"}}')
        assert order in asked
        card = scene.sent[0].card
        assert card is not None
        await scene.press("alice", card, "Approve")
        assert (await scene.wait_for(2))[1].text == f"cancelled {order}"


async def test_the_questions_of_a_channel_that_is_gone_expire_and_delay_no_other(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Kitchen()], database=database_url)
    async with scene.open():
        await scene.write("alice", "call order_soon")
        await scene.wait_for(1)
        await scene.write("alice", "call order_soon")  # its question waits until the first one is closed
        await scene.wait_until_rows("SELECT count(*) FROM questions WHERE status = 'queued'", 1)
        await scene.write("bob", "call order_soon")
        await scene.wait_for(2)
    scene.rows("UPDATE conversations SET channel = 'gone' WHERE key = 'dm-alice'")
    scene.rows("UPDATE questions SET channel = 'gone' WHERE user_id = 'alice'")
    scene.rows("UPDATE questions SET until = '2020-01-01 00:00:00'")
    scene.rows("UPDATE questions SET until = '2020-01-02 00:00:00' WHERE user_id = 'bob'")
    again = stage(tmp_path, [Kitchen()], database=database_url, written=10)
    async with again.open():
        await again.wait_until_rows("SELECT count(*) FROM questions WHERE status = 'expired'", 3)
        await again.wait_until(lambda: "too late" in [sent.text for sent in again.sent])
