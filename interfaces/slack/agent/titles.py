"""Suggested prompts and titles of threads in Slack's agent view."""

import logging
from collections.abc import Sequence
from typing import Any

from gateway.channels import DeliveryError, RetryLaterError
from gateway.logs import describe
from interfaces.slack.agent.refusals import NO_AGENT
from interfaces.slack.errors import slack_errors
from interfaces.slack.pauses import WITHOUT_SCOPE, Pauses
from interfaces.slack.workspaces import Workspaces
from toolkits import Conversation

MOST_PROMPTS = 4  # https://docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts
LONGEST_TITLE = 80  # characters that fit into a list of conversations; Slack takes 200

log = logging.getLogger(__name__)


def title_of(text: str) -> str:
    """Return the title of a conversation that begins with a text; empty if the text is empty."""
    words = " ".join(text.split())
    if len(words) <= LONGEST_TITLE:
        return words
    beginning, _, rest = words[:LONGEST_TITLE].rpartition(" ")
    return f"{beginning or rest}…"


class Titles:
    """Sets prompts and titles where the app is an agent, with the scope `assistant:write`.

    Where Slack refuses that, the calls pause for `WITHOUT_SCOPE` seconds.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._pauses = Pauses()

    async def suggest(self, tenant: str, channel: str, prompts: Sequence[str]) -> None:
        """Suggest first messages in a direct conversation.

        The call has no `thread_ts`: with one, it fails silently for an agent.
        """
        shown = [{"title": prompt, "message": prompt} for prompt in prompts[:MOST_PROMPTS]]
        await self._call(tenant, "assistant_threads_setSuggestedPrompts", channel_id=channel, prompts=shown)

    async def name(self, thread: Conversation, title: str) -> None:
        """Give a thread a title: https://docs.slack.dev/reference/methods/assistant.threads.setTitle"""
        channel, _, root = thread.id.partition("/")
        await self._call(thread.tenant, "assistant_threads_setTitle", channel_id=channel, thread_ts=root, title=title)

    async def _call(self, tenant: str, method: str, **arguments: Any) -> None:
        if self._pauses.hold(tenant):
            return
        try:
            client = await self._workspaces.client(tenant)
            with slack_errors():
                await getattr(client, method)(**arguments)
        except RetryLaterError as limit:
            self._pauses.begin(tenant, limit.seconds)
        except (DeliveryError, ConnectionError) as error:
            if str(error) not in NO_AGENT:
                log.info("Slack did not accept the call %s: %s", method, describe(error))
            elif self._pauses.begin(tenant, WITHOUT_SCOPE):
                log.info(
                    "the app is not an agent in the workspace %s, or lacks the scope assistant:write: its threads have "
                    "no titles and no prompts there (%s)",
                    tenant,
                    error,
                )
