"""The person that a token belongs to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """One person in one tenant of one channel, to whom tokens belong.

    A user id is unique only inside its tenant (the Slack workspace, the Telegram bot, the WhatsApp number), so nothing
    is keyed by less than all three.
    """

    channel: str
    tenant: str
    user_id: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.tenant}:{self.user_id}"
