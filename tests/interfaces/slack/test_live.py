"""What a thread in Slack shows of a turn that runs."""

import json
from typing import Any

from peers import seed
from peers.emulate.server import Emulate
from support.channels.running import Run

from gateway import (
    Conversation,
    Identity,
    Message,
    PhaseEnded,
    PhaseStarted,
    ToolEnded,
    ToolStarted,
)
from gateway.channels.live import Steps
from interfaces.slack import Slack


async def test_phases_are_task_cards_in_a_thread_where_the_app_has_them(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    """The server knows no streams: what is asked of it is as Slack documents it."""
    methods = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.delete")
    stream = {"channel": emulate.slack_channel_id, "ts": "2.5"}
    for method in methods:
        emulate.slack.fail(f"/api/{method}", 200, times=9, body={"ok": True, **stream})
    async with run(slack):
        where = Conversation("slack", seed.SLACK_TEAM_ID, f"{emulate.slack_channel_id}/1.5", shared=True)
        sender = Identity("slack", "T9", "U1")
        message = Message(id="1.5", text="", sender=sender, sender_name="", conversation=where)
        view, steps = slack.presenter.live_view(message), Steps()
        steps.note(PhaseStarted("Search"))
        await view.update(steps)
        await view.update(steps)  # nothing is new
        steps.note(ToolStarted("c1", "look"))
        await view.update(steps)
        steps.note(ToolEnded("c1", "look"))
        steps.note(PhaseEnded("Search", 1234))
        await view.update(steps)
        await view.close()
    started, first, second, stopped, deleted = [
        call for call in emulate.slack.calls() if call.path.removeprefix("/api/") in methods
    ]
    assert (started.params["thread_ts"], started.params["channel"]) == ("1.5", emulate.slack_channel_id)
    assert (started.params["recipient_team_id"], started.params["recipient_user_id"]) == ("T9", "U1")
    shown = [
        [(card["id"], card["title"], card["status"]) for card in chunks(call)] for call in (started, first, second)
    ]
    assert shown == [
        [("0", "Search", "in_progress")],
        [("1", "look", "in_progress")],
        [("0", "Search (1.2 s)", "complete"), ("1", "look", "complete")],
    ]
    for call in (first, second, stopped, deleted):
        assert (call.params["channel"], call.params["ts"]) == (stream["channel"], stream["ts"])


def chunks(call: Any) -> list[dict[str, Any]]:
    found = call.params["chunks"]
    return json.loads(found) if isinstance(found, str) else found


async def test_the_assistants_status_is_shown_in_a_thread_and_taken_away(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    """The server knows no assistants: what is asked of it is as Slack documents it."""
    path = "/api/assistant.threads.setStatus"
    emulate.slack.fail(path, 200, times=3, body={"ok": True})
    async with run(slack):
        where = Conversation("slack", seed.SLACK_TEAM_ID, f"{emulate.slack_channel_id}/1.5", shared=True)
        sender = Identity("slack", seed.SLACK_TEAM_ID, "U1")
        message = Message(id="1.5", text="", sender=sender, sender_name="", conversation=where)
        view, steps = slack.presenter.live_view(message), Steps()
        assert view is not None
        await view.update(steps)
        steps.note(PhaseStarted("Search"))
        await view.update(steps)
        await view.close()
        calls = [call.params for call in emulate.slack.calls(path)]
        assert [call["status"] for call in calls] == ["is thinking…", "is at Search…", ""]
        assert {(call["channel_id"], call["thread_ts"]) for call in calls} == {(emulate.slack_channel_id, "1.5")}
        assert emulate.slack_said(emulate.slack_channel_id) == []
