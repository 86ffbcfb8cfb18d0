"""The App Home shows each person their own accounts and open questions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from pydantic_ai.models.function import FunctionModel
from support.channels.presses import CARD_ID, Pressed, card
from support.channels.running import Run, Running
from support.channels.slack import dm, post, press, said
from support.stage import CANCEL, Orders, Vault, obey

from gateway import TurnContext
from gateway.channels import QuestionCard
from interfaces.slack import Slack
from interfaces.slack.agent.home import MOST_BLOCKS, home_blocks
from oauth import Account, Identity, Token
from oauth.store.tokens import TokenStore
from toolkits import Toolkit, preview, tool

PUBLISH, OPEN = "/api/views.publish", "/api/views.open"
ALICE, BOB = (Identity("slack", seed.SLACK_TEAM_ID, person.slack_id) for person in (seed.ALICE, seed.BOB))


def opened(person: seed.Person = seed.ALICE, **fields: Any) -> dict[str, Any]:
    event = {"type": "app_home_opened", "user": person.slack_id, "channel": "D1", "tab": "home"}
    return events.envelope({**event, "event_ts": events.ts()}) | fields


def pressed_at_home(action_id: str, value: str, person: seed.Person = seed.ALICE) -> dict[str, Any]:
    """Build the press of a button in the App Home, which has no message and no `response_url`."""
    payload = interactions.block_actions(interactions.button(action_id, value), person=person)
    for absent in ("message", "channel", "response_url"):
        del payload[absent]
    view = {"id": "V1", "team_id": seed.SLACK_TEAM_ID, "type": "home"}
    return {**payload, "container": {"type": "view", "view_id": "V1"}, "view": view}


async def connect(running: Running, identity: Identity, account: str) -> None:
    parts = running.gateway.parts
    assert parts.keyring is not None
    token = Token(f"SECRET-{account}", None, None, frozenset({"read"}), account)
    async with parts.backend.database.write() as connection:
        await TokenStore(parts.backend.database, parts.keyring).save(connection, identity, "fake", token)


async def published(emulate: Emulate, count: int) -> list[tuple[str, str]]:
    """Wait until `count` homes were published, and return the person and the blocks (as JSON) of each."""
    await wait_until_async(lambda: len(emulate.slack.calls(PUBLISH)) >= count, what=f"{count} homes")
    calls = [call.params for call in emulate.slack.calls(PUBLISH)]
    views = [json.loads(each["view"]) if isinstance(each["view"], str) else each["view"] for each in calls]
    assert all(view["type"] == "home" for view in views)
    return [(each["user_id"], json.dumps(view["blocks"])) for each, view in zip(calls, views, strict=True)]


async def test_each_person_sees_their_own_accounts(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack, [Vault()]) as running:
        await connect(running, ALICE, "alice@fake.test")
        assert await post(running, opened(seed.ALICE)) == 200
        ((whose, alices),) = await published(emulate, 1)
        assert await post(running, opened(seed.BOB)) == 200
        _, (other, bobs) = await published(emulate, 2)
    assert (whose, other) == (seed.ALICE.slack_id, seed.BOB.slack_id)
    assert "alice@fake.test" in alices
    assert "home.disconnect.fake" in alices
    assert "home.connect.fake" not in alices
    assert "alice" not in bobs
    assert "home.connect.fake" in bobs
    for blocks in (alices, bobs):
        assert "http" not in blocks
        assert "SECRET" not in blocks


async def test_a_person_who_connects_an_account_gets_their_own_link_in_a_modal(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    emulate.slack.fail(OPEN, 200, times=2, body={"ok": True})
    async with run(slack, [Vault()]) as running:
        for person in (seed.ALICE, seed.BOB):
            payload = pressed_at_home("home.connect.fake", "fake", person) | {"trigger_id": f"t-{person.name}"}
            assert await press(running, payload) == 200
        calls = [call.params for call in emulate.slack.calls(OPEN)]
        assert [call["trigger_id"] for call in calls] == ["t-alice", "t-bob"]
        links = [json.dumps(call["view"]) for call in calls]
        assert all("http" in link and "for you alone" in link for link in links)
        assert links[0] != links[1]
        assert emulate.slack.calls(PUBLISH) == []


async def test_an_account_is_disconnected_by_its_person_and_the_home_shows_it(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack, [Vault()]) as running:
        for identity, account in ((ALICE, "alice"), (BOB, "bob")):
            await connect(running, identity, account)
        assert await press(running, pressed_at_home("home.disconnect.fake", "fake", seed.ALICE)) == 200
        ((whose, blocks),) = await published(emulate, 1)
        oauth = running.gateway.parts.oauth
        assert oauth is not None
        assert await oauth.accounts(ALICE) == []
        assert [account.account for account in await oauth.accounts(BOB)] == ["bob"]
    assert whose == seed.ALICE.slack_id
    assert "home.connect.fake" in blocks


@pytest.mark.parametrize("value", ["gone", ""])
async def test_a_button_of_an_old_home_brings_the_home_up_to_date(
    run: Run, slack: Slack, emulate: Emulate, value: str
) -> None:
    async with run(slack, [Vault()]) as running:
        assert await press(running, pressed_at_home("home.connect.gone", value)) == 200
        assert await press(running, pressed_at_home("home.anything", value)) == 200
        await published(emulate, 2)


@dataclass
class Asking(Pressed):
    """A host that keeps open questions."""

    cards: list[QuestionCard] = field(default_factory=list)

    async def open_questions(self, identity: Identity) -> Sequence[QuestionCard]:
        return self.cards if identity == ALICE and not self.presses else []


async def test_open_questions_are_decided_at_home(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        asking = await Asking.between(slack)
        asking.cards = [card("May I send it?")]  # type: ignore[attr-defined]
        assert await post(running, opened(seed.ALICE)) == 200
        assert await post(running, opened(seed.BOB)) == 200
        homes = dict(await published(emulate, 2))
        assert "May I send it?" in homes[seed.ALICE.slack_id]
        assert '"question.0"' in homes[seed.ALICE.slack_id]
        assert "May I send it?" not in homes[seed.BOB.slack_id]
        assert await press(running, pressed_at_home("question.0", CARD_ID)) == 200
        assert [(each.question_id, each.choice, each.identity) for each in asking.presses] == [(CARD_ID, 0, ALICE)]
        assert "May I send it?" not in (await published(emulate, 3))[-1][1]


class Letters(Toolkit):
    """A toolkit whose question is longer than one message."""

    async def _letter(self, context: TurnContext) -> str:
        return preview.block("word " * 2000)

    @tool(approval=_letter)
    async def send(self, context: TurnContext) -> str:
        """Send a letter."""
        return "sent"


async def test_an_approval_is_given_at_home_and_the_turn_continues(run: Run, slack: Slack, emulate: Emulate) -> None:
    orders, channel = Orders(), emulate.slack_dm("alice")
    async with run(slack, [orders], model=FunctionModel(obey)) as running:
        assert await post(running, dm(emulate, CANCEL)) == 200
        await said(emulate, channel, 1)
        assert await post(running, opened(seed.ALICE)) == 200
        ((_, blocks),) = await published(emulate, 1)
        buttons = next(block["elements"] for block in json.loads(blocks) if block["type"] == "actions")
        approve = {button["text"]["text"]: button for button in buttons}["Approve"]
        assert await press(running, pressed_at_home(approve["action_id"], approve["value"], seed.BOB)) == 200
        assert orders.cancelled == []
        assert await press(running, pressed_at_home(approve["action_id"], approve["value"], seed.ALICE)) == 200
        await wait_until_async(lambda: "cancelled 4711" in emulate.slack_said(channel), what="the turn goes on")
        assert "Nothing is waiting" in (await published(emulate, 3))[-1][1]


async def test_an_approval_that_is_too_long_to_be_shown_whole_is_not_given_at_home(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack, [Letters()], model=FunctionModel(obey)) as running:
        assert await post(running, dm(emulate, "call send")) == 200
        await said(emulate, emulate.slack_dm("alice"), 3)
        assert await post(running, opened(seed.ALICE)) == 200
        ((_, blocks),) = await published(emulate, 1)
    assert "answer in our conversation" in blocks
    assert '"question.' not in blocks


async def test_a_person_whose_workspace_slack_does_not_name_sees_nothing(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack, [Vault()]) as running:
        assert await post(running, opened(is_ext_shared_channel=True)) == 200
        assert await post(running, opened(seed.BOB)) == 200
        assert [whose for whose, _ in await published(emulate, 1)] == [seed.BOB.slack_id]


async def test_an_app_with_its_own_home_keeps_it(run: Run, emulate: Emulate) -> None:
    slack = Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, app_home=False)
    async with run(slack, [Vault()]) as running:
        assert await post(running, opened()) == 200
        assert await press(running, pressed_at_home("home.connect.fake", "fake")) == 200
    assert emulate.slack.calls(PUBLISH) == emulate.slack.calls(OPEN) == []


async def test_a_home_that_slack_refuses_is_logged(
    run: Run, slack: Slack, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    emulate.slack.fail(PUBLISH, 200, body={"ok": False, "error": "not_enabled"})
    async with run(slack) as running:
        assert await post(running, opened()) == 200
        await wait_until_async(lambda: "not_enabled" in caplog.text, what="the refusal is logged")


class Named:
    """A host with one provider, with only the method that the App Home needs."""

    providers = ("fake",)

    def provider_label(self, provider: str) -> str:
        return "<Fake> & more"


def test_a_home_has_no_more_blocks_than_slack_accepts_and_no_markup_of_people() -> None:
    account = Account("fake", "<Fake>", "<!channel> *x*", None, ["read & write"])
    blocks = home_blocks(Named(), [account], [card(f"question {number}") for number in range(99)])  # type: ignore[arg-type]
    assert len(blocks) <= MOST_BLOCKS
    assert "question 0" in str(blocks)
    assert "<" not in str([block["text"] for block in blocks if block["type"] == "section"])
    empty = home_blocks(Named(), [], [])  # type: ignore[arg-type]
    assert "&lt;Fake&gt; &amp; more" in str(empty)
    assert "Nothing is waiting for your answer." in str(empty)
