"""Channels that are shared with another organization: Slack Connect."""

import json

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run
from support.channels.slack import BOT, post, said

from gateway import (
    TurnContext,
)
from interfaces.slack import Slack
from toolkits import Toolkit, tool


class Who(Toolkit):
    @tool
    async def who(self, context: TurnContext) -> str:
        """Tell who asks, and from which workspace."""
        return f"{context.identity.user_id} of {context.identity.tenant}"


async def test_a_person_of_another_organization_is_not_a_member_of_this_workspace(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    async with run(slack, [Who()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        alices, bobs = emulate.slack_dm("alice"), emulate.slack_dm("bob")
        await post(running, events.direct_message("who am I?", channel=alices, user_team="T0OTHER01"))
        await post(running, events.direct_message("who am I?", seed.BOB.slack_id, bobs))
        assert "U0ALICE01 of T0OTHER01" in (await said(emulate, alices, 1))[0]
        assert f"U0BOBBY01 of {seed.SLACK_TEAM_ID}" in (await said(emulate, bobs, 1))[0]


OURS, GRID, PLAIN = events.OURS, events.Organization("T0GRID001", "E0GRID001"), events.Organization("T0PLAIN01")


STRANGER = "U0STRANGE"


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("order", [1, -1], ids=["mention first", "message first"])
@pytest.mark.parametrize("named", ["ours", "other"])
@pytest.mark.parametrize(
    ("writer", "user", "known_as"),
    [
        (OURS, seed.ALICE.slack_id, OURS.team_id),
        (PLAIN, STRANGER, PLAIN.team_id),
        (GRID, STRANGER, GRID.enterprise_id),
    ],
    ids=["ours", "another workspace", "another organization"],
)
async def test_a_mention_in_a_channel_shared_with_another_organization_is_answered_once_as_its_writer(
    run: Run,
    emulate: Emulate,
    writer: events.Organization,
    user: str,
    known_as: str,
    named: str,
    order: int,
    joined: bool,
) -> None:
    other = GRID if writer == OURS else writer
    slack = Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, answer_in_joined_threads=joined)
    async with run(slack, [Who()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        thread = emulate.slack_post("alice", emulate.slack_channel_id, f"{BOT} hello")
        for number in range(2):
            at = {"ts": thread} if not number else {"ts": events.ts(), "thread_ts": thread}
            mention, message = events.mention_pair(f"{BOT} hello", user, **at)
            pair = (
                events.shared(mention, writer, other, OURS if named == "ours" else other),
                events.shared(message, writer, other),
            )
            for payload in pair[::order]:
                assert await post(running, payload) == 200
        answers = await said(emulate, emulate.slack_channel_id, 2, thread)
        assert len(running.inbox()) == 2
        assert len(answers) == 2
        assert all(f"{user} of {known_as}" in answer for answer in answers)


async def test_a_writer_whose_workspace_a_shared_channel_does_not_name_gets_no_credentials(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    payload = events.shared(events.app_mention("hello", STRANGER), PLAIN, PLAIN)
    for name in ("team", "user_team", "source_team"):
        del payload["event"][name]
    async with run(slack):
        message = await slack.parse(json.dumps(payload))
        assert message is not None
        assert message.anonymous


async def test_a_channel_that_becomes_shared_and_gets_another_id_keeps_its_history_and_its_workspace(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    old, new = "G0PRIVATE1", emulate.slack_channel_id
    thread = emulate.slack_post("alice", new, f"{BOT} hello")
    async with run(slack) as running:
        await post(running, events.app_mention("the word is walnut", channel=old, ts=thread))
        await wait_until_async(lambda: running.told, what="the first turn")
        assert await post(running, events.channel_id_changed(old, new)) == 200
        reply = events.app_mention("which word?", channel=new, thread_ts=thread)
        await post(running, events.shared(reply, OURS, PLAIN))
        await wait_until_async(lambda: len(running.told) == 2, what="the second turn")
        assert "walnut" in str(running.told[-1])
        assert "heard" in await said(emulate, new, 1, thread)
        assert running.rows("SELECT DISTINCT tenant FROM conversations") == [(seed.SLACK_TEAM_ID,)]
