"""The status of a thread, with and without agent sessions."""

import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.channels.running import Run

from gateway import Conversation
from interfaces.slack import Slack
from interfaces.slack.agent.sessions import AgentSessions, SessionStatus

SESSION, ASSISTANT = "/api/agents.sessions.setStatus", "/api/assistant.threads.setStatus"


@pytest.fixture
def thread(emulate: Emulate) -> Conversation:
    return Conversation("slack", seed.SLACK_TEAM_ID, f"{emulate.slack_channel_id}/1.5", shared=True)


async def test_an_agent_has_the_status_of_a_session_and_says_what_it_does(
    run: Run, slack: Slack, emulate: Emulate, thread: Conversation
) -> None:
    emulate.slack.fail(SESSION, 200, times=2, body={"ok": True})
    async with run(slack):
        sessions = AgentSessions(slack._workspaces)
        assert await sessions.set(thread, SessionStatus.PROCESSING, "is thinking…", "What is new?")
        assert await sessions.set(thread, SessionStatus.ACTIVE)
        first, second = (call.params for call in emulate.slack.calls(SESSION))
        assert [call.params["status"] for call in emulate.slack.calls(ASSISTANT)] == ["is thinking…", ""]
    where = {"channel_id": emulate.slack_channel_id, "thread_ts": "1.5"}
    assert first == {**where, "status": "processing", "title": "What is new?"}
    assert second == {**where, "status": "active"}


async def test_methods_that_a_workspace_refuses_to_the_app_are_not_called_again(
    run: Run, slack: Slack, emulate: Emulate, thread: Conversation
) -> None:
    emulate.slack.fail(ASSISTANT, 200, body={"ok": False, "error": "missing_scope"})
    async with run(slack):  # the server knows no sessions
        sessions = AgentSessions(slack._workspaces)
        assert not await sessions.set(thread, SessionStatus.PROCESSING, "is thinking…")
        assert not await sessions.set(thread, SessionStatus.ACTIVE)
        assert (len(emulate.slack.calls(SESSION)), len(emulate.slack.calls(ASSISTANT))) == (1, 1)


async def test_a_refusal_for_one_thread_does_not_affect_later_calls(
    run: Run, slack: Slack, emulate: Emulate, thread: Conversation
) -> None:
    emulate.slack.fail(SESSION, 200, body={"ok": False, "error": "channel_not_found"})
    async with run(slack):
        sessions = AgentSessions(slack._workspaces)
        await sessions.set(thread, SessionStatus.PROCESSING)
        await sessions.set(thread, SessionStatus.PROCESSING)
        assert len(emulate.slack.calls(SESSION)) == 2
