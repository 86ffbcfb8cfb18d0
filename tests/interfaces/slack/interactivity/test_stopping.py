"""A turn in Slack is stopped by a word, by a button, by the stop button of an agent's session, and by a command."""

from urllib.parse import urlencode

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from support.agents.held import Held
from support.channels.running import Run, Running
from support.channels.slack import BOT, answer_address, dm, post, press, said

from interfaces.slack import Slack

SESSION = "/api/agents.sessions.setStatus"
NOTHING = "I am not working on anything for you here."


async def begin(running: Running, emulate: Emulate, held: Held) -> str:
    """Mention the bot in a channel, and return the `ts` of the thread when the model is asked."""
    mention = events.app_mention(f"{BOT} tell me", channel=emulate.slack_channel_id)
    await post(running, mention)
    await held.asked.wait()
    return str(mention["event"]["ts"])


async def command(running: Running, emulate: Emulate, name: str, text: str, person: seed.Person) -> str:
    """Give a slash command in the channel, and return the answer, which only the person sees."""
    body = urlencode(events.slash_command(name, text, person, channel_id=emulate.slack_channel_id)).encode()
    headers = events.headers(body, content_type="application/x-www-form-urlencoded")
    answer = await running.client.post("/slack/commands", content=body, headers=headers)
    return str(answer.json()["text"])


async def test_a_word_stops_a_turn_in_a_direct_message(run: Run, slack: Slack, emulate: Emulate) -> None:
    held = Held()
    async with run(slack, model=held.model) as running:
        await post(running, dm(emulate, "tell me"))
        await held.asked.wait()
        assert await post(running, dm(emulate, "stop")) == 200
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["Stopped."]


@pytest.mark.parametrize(("name", "text"), [("/stop", ""), ("/bot", "stop")])
async def test_a_slash_command_stops_the_turns_of_its_person_in_all_threads_of_a_channel(
    run: Run, slack: Slack, emulate: Emulate, name: str, text: str
) -> None:
    held = Held()
    async with run(slack, model=held.model) as running:
        thread = await begin(running, emulate, held)
        assert await command(running, emulate, name, text, seed.BOB) == NOTHING
        assert await command(running, emulate, name, text, seed.ALICE) == "I am stopping."
        assert await said(emulate, emulate.slack_channel_id, 1, thread) == ["Stopped."]


async def test_only_the_person_who_asked_can_press_the_button(run: Run, slack: Slack, emulate: Emulate) -> None:
    held, channel = Held(), emulate.slack_channel_id
    async with run(slack, model=held.model) as running:
        thread = await begin(running, emulate, held)
        for person in (seed.BOB, seed.ALICE):
            button = interactions.button("stop", "stop", "Stop")
            address = answer_address(emulate, channel, person)
            pressed = interactions.block_actions(
                button, person=person, channel=channel, thread_ts=thread, response_url=address
            )
            assert await press(running, pressed) == 200
        assert await said(emulate, channel, 1, thread) == ["Stopped."]


async def test_the_stop_button_of_a_session_stops_its_turn_and_updates_the_session(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    emulate.slack.fail(SESSION, 200, times=9, body={"ok": True})
    held, channel = Held(), emulate.slack_channel_id
    async with run(slack, model=held.model) as running:
        thread = await begin(running, emulate, held)
        for user in (seed.BOB.slack_id, seed.ALICE.slack_id):
            assert await post(running, events.agent_session_stopped(thread, channel, user)) == 200
        assert await said(emulate, channel, 1, thread) == ["Stopped."]
        await wait_until_async(
            lambda: [call.params["status"] for call in emulate.slack.calls(SESSION)][-2:] == ["active", "active"],
            what="the session is active",
        )
