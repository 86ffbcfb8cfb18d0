"""People have names, a language and a time zone: https://docs.slack.dev/reference/methods/users.info"""

import asyncio
import logging
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.slack import dm, post, said
from support.stage import obey

from gateway import TurnContext
from interfaces.slack import Slack
from interfaces.slack.reading import people
from interfaces.slack.workspaces import OneWorkspace
from toolkits import Toolkit, tool

pytestmark = pytest.mark.long

USERS_INFO = "/api/users.info"
TEAM = seed.SLACK_TEAM_ID
ALICE, BOB = seed.ALICE.slack_id, seed.BOB.slack_id


@pytest.fixture
def known(slack: Slack) -> people.People:
    return slack._people


async def test_a_person_has_a_name_a_language_and_a_time_zone(known: people.People) -> None:
    found = await known.find(TEAM, [ALICE, BOB, ALICE])
    assert {user_id: person.name for user_id, person in found.items()} == {ALICE: "Alice", BOB: "Bob"}
    assert (found[ALICE].locale, found[ALICE].timezone) == ("de-DE", "Europe/Berlin")


async def test_concurrent_turns_look_a_person_up_once(known: people.People, emulate: Emulate) -> None:
    emulate.slack.fail(USERS_INFO, delay=0.2)
    await asyncio.gather(*(known.find(TEAM, [ALICE]) for _ in range(10)))
    await known.find(TEAM, [ALICE])
    assert len(emulate.slack.calls(USERS_INFO)) == 1


async def test_the_end_of_one_turn_does_not_cancel_the_look_up_for_others(
    known: people.People, emulate: Emulate
) -> None:
    emulate.slack.fail(USERS_INFO, delay=0.2)
    first, second = (asyncio.create_task(known.find(TEAM, [ALICE])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)[ALICE].name == "Alice"


async def test_without_the_scope_people_are_called_by_their_ids_and_the_log_says_so_once(
    run: Run, slack: Slack, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    emulate.slack.fail(USERS_INFO, 200, body={"ok": False, "error": "missing_scope"}, times=100)
    channel = emulate.slack_dm("alice")
    async with run(slack) as running:
        with caplog.at_level(logging.WARNING):
            for number in (1, 2):
                await post(running, dm(emulate, f"ask <@{BOB}>"))
                assert await said(emulate, channel, number) == ["heard"] * number
        assert running.prompts == [f"ask <@{BOB}>"] * 2
    assert [record.getMessage() for record in caplog.records if "users:read" in record.getMessage()] == [
        f"people of the workspace {TEAM} are called by their ids: the app lacks the scope users:read there"
    ]
    assert len(emulate.slack.calls(USERS_INFO)) <= 2  # for the sender and the mentioned person, at the same time


@pytest.mark.parametrize(
    "failure",
    [
        {"status": 429, "headers": {"Retry-After": "30"}, "body": {"ok": False, "error": "ratelimited"}},
        {"status": 500, "body": "no"},
        {"status": 200, "body": {"ok": False, "error": "user_not_found"}},
        {"status": 200, "body": {"ok": True, "user": {"profile": []}}},
        {"status": 200, "body": {"ok": True}},
        {"status": 200, "body": "<html>"},
    ],
    ids=["rate limit", "error", "unknown", "no name", "nobody", "proxy"],
)
async def test_a_failed_look_up_fails_no_turn_and_is_not_repeated_at_once(
    known: people.People, emulate: Emulate, failure: dict[str, Any]
) -> None:
    emulate.slack.fail(USERS_INFO, times=100, **failure)
    for _ in range(3):
        assert await known.find(TEAM, [ALICE]) == {}
    assert len(emulate.slack.calls(USERS_INFO)) == 1


async def test_a_rate_limit_pauses_look_ups_in_the_whole_workspace(known: people.People, emulate: Emulate) -> None:
    limit = {"ok": False, "error": "ratelimited"}
    emulate.slack.fail(USERS_INFO, 429, headers={"Retry-After": "30"}, body=limit)
    await known.find(TEAM, [ALICE])
    assert await known.find(TEAM, [BOB]) == {}
    assert len(emulate.slack.calls(USERS_INFO)) == 1


async def test_the_cache_of_people_has_a_limit(slack: Slack, emulate: Emulate) -> None:
    assert isinstance(slack._workspaces, OneWorkspace)
    few = people.People(slack._workspaces, most=1)
    for user_id in (ALICE, BOB, ALICE):
        await few.find(TEAM, [user_id])
    assert len(emulate.slack.calls(USERS_INFO)) == 3


class Watch(Toolkit):
    """A toolkit that returns what a tool is told about the person."""

    @tool
    async def who(self, context: TurnContext) -> str:
        """Say who asks, and where they are."""
        return f"{context.message.sender_name}, {context.locale}, {context.timezone}"


async def test_a_tool_knows_the_name_the_language_and_the_time_zone(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack, [Watch()], model=FunctionModel(obey)) as running:
        await post(running, dm(emulate, "call who"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["Alice, de-DE, Europe/Berlin"]
