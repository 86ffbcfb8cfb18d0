"""Say in a thread that the agent works: https://docs.slack.dev/ai/agent-sessions"""

from enum import StrEnum

from slack_sdk.errors import SlackApiError

from interfaces.slack.agent.refusals import NO_AGENT
from interfaces.slack.errors import reason_of
from interfaces.slack.workspaces import Workspaces
from toolkits import Conversation


class SessionStatus(StrEnum):
    #: The agent works. Slack shows that, with a stop button if the app subscribes to `agent_session_stopped`.
    PROCESSING = "processing"
    #: The agent waits for the next message.
    ACTIVE = "active"


class AgentSessions:
    """Sets the status of threads, in one of two ways: as that of an agent's session, or as that of an assistant.

    Where an app has no sessions, is noted for each workspace as long as the process lasts.

    https://docs.slack.dev/reference/methods/agents.sessions.setStatus
    https://docs.slack.dev/reference/methods/assistant.threads.setStatus
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._without_sessions: set[str] = set()

    async def set(self, thread: Conversation, status: SessionStatus, words: str = "", title: str = "") -> None:
        """Set the status of a thread.

        Args:
            words: what the agent is doing, like "is thinking…". An agent's session shows none.
            title: of the session, if this call creates it: see `titles.title_of`.

        Raises:
            SlackApiError: if Slack takes neither, or not now.
        """
        channel, _, root = thread.id.partition("/")
        client = await self._workspaces.client(thread.tenant)
        if thread.tenant not in self._without_sessions:
            try:
                await client.agents_sessions_setStatus(
                    channel_id=channel, thread_ts=root, status=status, title=title or None
                )
            except SlackApiError as error:
                if reason_of(error) not in NO_AGENT:
                    raise
                self._without_sessions.add(thread.tenant)
            else:
                return
        words = words if status is SessionStatus.PROCESSING else ""
        await client.assistant_threads_setStatus(channel_id=channel, thread_ts=root, status=words)
