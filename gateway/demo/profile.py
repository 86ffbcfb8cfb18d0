"""A toolkit that tells people who they are."""

from toolkits import Toolkit, TurnContext, tool


class Profile(Toolkit):
    """What the agent knows about the person that it talks to."""

    @tool(label="Looking up who you are", read_only=True)
    def who_am_i(self, context: TurnContext) -> dict[str, str]:
        """Tell the user who they are to the agent: name, channel, tenant and user id."""
        return {
            "name": context.message.sender_name,
            "channel": context.identity.channel,
            "tenant": context.identity.tenant,
            "user id": context.identity.user_id,
        }
