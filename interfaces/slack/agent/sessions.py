"""Show in a thread that the agent is working: https://docs.slack.dev/ai/agent-sessions"""

from collections.abc import Awaitable, Callable, MutableSet
from enum import StrEnum
from functools import partial
from typing import Any

from gateway.channels import DeliveryRefusedError
from interfaces.slack.agent.refusals import NO_AGENT
from interfaces.slack.errors import slack_errors
from interfaces.slack.workspaces import Workspaces
from toolkits import Conversation


class SessionStatus(StrEnum):
    #: The agent is working. Slack shows that, with a stop button if the app subscribes to `agent_session_stopped`.
    PROCESSING = "processing"
    #: The agent is waiting for the next message.
    ACTIVE = "active"


class AgentSessions:
    """Shows in threads that the agent is working: by the status of its session, and by the status text of an assistant.

    If a workspace refuses one of the two to the app, that call is not made there again while the process lasts.

    https://docs.slack.dev/reference/methods/agents.sessions.setStatus
    https://docs.slack.dev/reference/methods/assistant.threads.setStatus
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._without_sessions: set[str] = set()
        self._without_words: set[str] = set()

    async def set(self, thread: Conversation, status: SessionStatus, words: str = "", title: str = "") -> bool:
        """Set the status of a thread; return whether Slack accepted the status or the text.

        Args:
            words: the status text, like "is thinking…".
            title: the title of the session, if this call creates it: see `titles.title_of`.

        Raises:
            DeliveryError, ConnectionError: if a call fails other than by a refusal.
        """
        channel, _, root = thread.id.partition("/")
        client = await self._workspaces.client(thread.tenant)
        session = partial(
            client.agents_sessions_setStatus, channel_id=channel, thread_ts=root, status=status, title=title or None
        )
        assistant = partial(client.assistant_threads_setStatus, channel_id=channel, thread_ts=root, status=words)
        has_session = await self._call(session, thread.tenant, self._without_sessions)
        has_words = await self._call(assistant, thread.tenant, self._without_words)
        return has_session or has_words

    async def _call(self, call: Callable[[], Awaitable[Any]], tenant: str, without: MutableSet[str]) -> bool:
        """Make a call, unless the workspace refuses it to the app; return whether Slack accepted it."""
        if tenant in without:
            return False
        try:
            with slack_errors():
                await call()
        except DeliveryRefusedError as refusal:
            if str(refusal) in NO_AGENT:
                without.add(tenant)
            return False
        return True
