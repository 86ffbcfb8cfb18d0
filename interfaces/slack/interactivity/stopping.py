"""Stop a person's turns: by a button, by Slack's own stop button, by a slash command."""

from collections.abc import Callable

from gateway.channels import Host
from gateway.channels.sentences import NOTHING_OF_YOURS, STOPPING
from interfaces.slack.interactivity.press import ButtonPress
from interfaces.slack.parse import Body, tenant_of
from toolkits import Conversation

SESSION_STOPPED = "agent_session_stopped"


class Stopping:
    """Stops the turns of the person who asks for it, and nobody else's.

    Args:
        channel: the channel of the gateway.
        host: returns the gateway.
    """

    def __init__(self, channel: str, host: Callable[[], Host]) -> None:
        self._channel = channel
        self._host = host

    async def press(self, press: ButtonPress) -> str:
        """Stop the turn whose preview has the button; return the sentence for the person."""
        if press.conversation is None:
            return NOTHING_OF_YOURS
        place, _, thread = press.conversation.id.partition("/")
        return await self.in_place(press.conversation.tenant, place, press.identity.user_id, thread)

    async def session(self, body: Body) -> Conversation | None:
        """Stop the turn of an agent's session; return its thread, whose status Slack leaves at `processing`.

        https://docs.slack.dev/reference/events/agent_session_stopped
        """
        event, tenant = body["event"], tenant_of(body)
        place, thread, user = event.get("channel"), event.get("thread_ts"), event.get("user")
        if tenant is None or not (place and thread and user):
            return None
        await self.in_place(tenant, place, user, thread)
        return Conversation(self._channel, tenant, f"{place}/{thread}", not place.startswith("D"))

    async def in_place(self, tenant: str, place: str, user: str, thread: str = "") -> str:
        """Stop the turns of a person in a channel of Slack's; return the sentence for them.

        Args:
            thread: stops only the turn in this thread, or in a direct conversation without threads.
        """
        stopped = False
        for each in await self._host().played_for(self._channel, tenant, user):
            where, _, root = each.id.partition("/")
            if where == place and (not thread or root in ("", thread)):
                stopped = await self._host().stop(each, user) or stopped
        return STOPPING if stopped else NOTHING_OF_YOURS
