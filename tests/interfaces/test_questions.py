"""Questions of tools are answered by buttons, in each channel that has buttons."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from pydantic_ai.models.function import FunctionModel
from support.channels.people import OnSlack, OnTelegram, OnWhatsApp, People
from support.channels.running import Run
from support.channels.whatsapp import MESSAGES
from support.stage import CANCEL, Orders, obey

from gateway import TurnContext
from gateway.access.entries import AccessList, Entry, Kind
from gateway.channels import AccessPolicy
from gateway.channels.sentences import QUESTION_CLOSED
from toolkits import Toolkit, tool

CHANNELS = {"slack": (OnSlack, "emulate"), "telegram": (OnTelegram, "telegram"), "whatsapp": (OnWhatsApp, "emulate")}
OBEY = FunctionModel(obey)


class Dates(Toolkit):
    @tool
    async def add_date(self, context: TurnContext) -> str:
        """Add a date."""
        return f"added to {await context.ask('Which calendar?', choices=['Work', 'Home'])}"

    @tool
    async def add_soon(self, context: TurnContext) -> str:
        """Add a date, if the person answers at once."""
        return await context.ask("Which calendar?", choices=["Work", "Home"], within=timedelta(seconds=0.5))


class Diary(Toolkit):
    private = True

    @tool
    async def read_page(self) -> str:
        """Read a page."""
        return "dear diary"


@pytest.fixture(
    params=[
        pytest.param("slack", marks=pytest.mark.processes),
        "telegram",
        pytest.param("whatsapp", marks=pytest.mark.processes),
    ]
)
def people(request: pytest.FixtureRequest) -> People:
    kind, peer = CHANNELS[request.param]
    made: People = kind(request.getfixturevalue(peer))
    return made


@pytest.fixture(params=[pytest.param("slack", marks=pytest.mark.processes), "telegram"])
def group(request: pytest.FixtureRequest) -> People:
    """Return people in a channel that has groups."""
    kind, peer = CHANNELS[request.param]
    made: People = kind(request.getfixturevalue(peer))
    return made


def replaced(people: People) -> bool:
    """Return whether the platform lets the bot replace a question by the decision."""
    return not isinstance(people, OnWhatsApp)


async def waited(people: People, text: str, *, shared: bool = False) -> None:
    await wait_until_async(lambda: text in "\n".join(people.said(shared=shared)), what=f"the bot says {text!r}")


async def test_a_call_that_is_approved_by_button_is_made_and_the_card_says_so(run: Run, people: People) -> None:
    orders = Orders()
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        await people.write(CANCEL)
        approve, _ = await people.asked()
        assert await people.press(approve) == ""
        await waited(people, "cancelled 4711")
        assert orders.cancelled == ["4711"]
        if replaced(people):
            await waited(people, "Approved by")
            await wait_until_async(lambda: people.buttons() == [], what="the buttons are gone")
            assert next(text for text in people.said() if "May I do this" in text).count("4711") >= 1


async def test_a_call_that_is_declined_by_button_is_not_made(run: Run, people: People) -> None:
    orders = Orders()
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        await people.write(CANCEL)
        _, decline = await people.asked()
        assert await people.press(decline) == ""
        await wait_until_async(lambda: people.running.inbox() == [("done",)], what="the turn has ended")
        assert orders.cancelled == []


async def test_a_press_counts_only_while_the_policy_admits_its_person(run: Run, people: People) -> None:
    orders, interface = Orders(), people.channel()
    async with run(interface, [orders], model=OBEY) as people.running:
        await people.write(CANCEL)
        approve, _ = await people.asked()
        ((tenant,),) = people.running.rows("SELECT tenant FROM conversations")
        for interface.access in (AccessPolicy.ALLOWLIST, AccessPolicy.PAIRING):
            assert QUESTION_CLOSED in await people.press(approve)
        entries = AccessList(people.running.gateway.parts.backend.database)
        await entries.allow(Entry(interface.channel, tenant, Kind.WORKSPACE, ""))
        assert await people.press(approve) == ""
        await waited(people, "cancelled 4711")
    assert orders.cancelled == ["4711"]


async def test_a_press_that_is_delivered_twice_counts_once(run: Run, people: People) -> None:
    orders = Orders()
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        await people.write(CANCEL)
        approve, _ = await people.asked()
        press = people.press_of(approve, seed.ALICE)
        told = await asyncio.gather(people.deliver(press), people.deliver(press))
        await waited(people, "cancelled 4711")
        await people.running.delivered()
        assert orders.cancelled == ["4711"]
        assert [text for text in people.said() if text == "cancelled 4711"] == ["cancelled 4711"]
        assert any("Approved by" in text for text in told)


async def test_a_typed_answer_still_counts_and_a_later_press_is_told_what_was_decided(run: Run, people: People) -> None:
    orders = Orders()
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        await people.write(CANCEL)
        _, decline = await people.asked()
        await people.write("yes")
        await waited(people, "cancelled 4711")
        assert "Approved by" in await people.press(decline)
        assert orders.cancelled == ["4711"]


async def test_a_press_after_a_restart_counts(run: Run, people: People) -> None:
    orders = Orders()
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        await people.write(CANCEL)
        approve, _ = await people.asked()
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        assert await people.press(approve) == ""
        await waited(people, "cancelled 4711")
        assert orders.cancelled == ["4711"]


async def test_a_press_of_a_question_that_nobody_answered_in_time_is_told_that_it_is_closed(
    run: Run, people: People
) -> None:
    async with run(people.channel(), [Dates()], model=OBEY) as people.running:
        await people.write("call add_soon")
        work, _ = await people.asked()
        await wait_until_async(lambda: people.running.inbox() == [("done",)], what="the turn has ended")
        assert await people.press(work) == "This question is closed."


async def test_in_a_group_only_the_person_who_is_asked_can_press_the_button(run: Run, group: People) -> None:
    async with run(group.channel(), [Dates()], model=OBEY) as group.running:
        await group.write("call add_date", shared=True)
        work, home = await group.asked(shared=True)
        assert await group.press(work, seed.BOB, shared=True) == "This question is for somebody else."
        assert group.buttons(shared=True) != []
        assert await group.press(home, seed.ALICE, shared=True) == ""
        await waited(group, "added to Home", shared=True)
        assert "Home: chosen by" in await group.press(work, seed.ALICE, shared=True)
        assert await group.press(work, seed.BOB, shared=True) == "This question is for somebody else."
        await wait_until_async(lambda: group.buttons(shared=True) == [], what="the buttons are gone")


async def test_an_approval_from_a_group_is_decided_only_by_its_person(run: Run, group: People) -> None:
    orders = Orders()
    async with run(group.channel(), [orders], model=OBEY) as group.running:
        await group.write("hello")  # Telegram lets a bot write only to somebody who wrote to it
        await waited(group, "heard")
        await group.write(CANCEL, shared=True)
        approve, _ = await group.asked()
        assert group.buttons(shared=True) == []
        assert await group.press(approve, seed.BOB) == "This question is for somebody else."
        assert orders.cancelled == []
        assert await group.press(approve) == ""
        await wait_until_async(lambda: orders.cancelled == ["4711"], what="it is done")
        await wait_until_async(lambda: group.buttons() == [], what="the buttons are gone")


async def test_only_its_person_can_have_a_private_answer_posted_in_the_group(run: Run, group: People) -> None:
    async with run(group.channel(), [Diary()], model=OBEY) as group.running:
        await group.write("hello")
        await waited(group, "heard")
        await group.write("call read_page", shared=True)
        await waited(group, "dear diary")
        await wait_until_async(lambda: len(group.buttons(shared=True)) == 1, what="the note has a button")
        (post,) = group.buttons(shared=True)
        assert await group.press(post, seed.BOB, shared=True) == "This question is for somebody else."
        assert "dear diary" not in group.said(shared=True)
        assert await group.press(post, shared=True) == ""
        await waited(group, "dear diary", shared=True)
        await waited(group, "Posted here by", shared=True)
        await wait_until_async(lambda: group.buttons(shared=True) == [], what="the button is gone")


async def test_many_choices_are_answered_with_a_number_in_whatsapp(run: Run, emulate: Emulate) -> None:
    people = OnWhatsApp(emulate)

    class Sizes(Toolkit):
        @tool
        async def order(self, context: TurnContext) -> str:
            """Order something."""
            return f"ordered {await context.ask('Which size?', choices=['S', 'M', 'L', 'XL'])}"

    async with run(people.channel(), [Sizes()], model=OBEY) as people.running:
        await people.write("call order")
        await waited(people, "4. XL")
        await people.running.delivered()
        await people.write("3")
        await waited(people, "ordered L")
        assert people.buttons() == []


@pytest.mark.processes
async def test_a_question_that_twilio_did_not_acknowledge_is_not_sent_twice(run: Run, emulate: Emulate) -> None:
    orders, people = Orders(), OnWhatsApp(emulate)
    async with run(people.channel(), [orders], model=OBEY) as people.running:
        emulate.twilio.fail(MESSAGES, 500, method="POST", after=True)
        await people.write(CANCEL)
        approve, _ = await people.asked()
        assert len(people.said()) == 1
        await people.press(approve)
        await waited(people, "cancelled 4711")


@pytest.mark.processes
async def test_a_press_in_whatsapp_lets_the_bot_write_for_another_day(run: Run, emulate: Emulate) -> None:
    """https://www.twilio.com/docs/whatsapp/key-concepts#the-24-hour-window"""
    people = OnWhatsApp(emulate)
    async with run(people.channel(), [Dates()], model=OBEY) as people.running:
        await people.write("call add_date")
        work, _ = await people.asked()
        with sqlite3.connect(people.running.directory / "understudy.db") as database:
            long_ago = datetime.now(UTC) - timedelta(hours=25)
            database.execute("UPDATE conversations SET last_accepted_at = ?", [f"{long_ago:%Y-%m-%d %H:%M:%S.%f}"])
        await people.press(work)
        await waited(people, "added to Work")
