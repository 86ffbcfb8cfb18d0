"""Look at what Telegram says about the bot's webhook: https://core.telegram.org/bots/api#getwebhookinfo"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from telegram import Bot


@dataclass(frozen=True, slots=True)
class WebhookState:
    """The state of the bot's webhook: https://core.telegram.org/bots/api#webhookinfo

    Args:
        url: the address to which Telegram delivers; empty if no webhook is set.
        waiting: how many updates wait for their delivery.
        most_connections: how many updates Telegram delivers at once; `None` if it does not say.
        failed_at: when the last delivery failed that Telegram remembers; `None` if none did.
        failure: why it failed.
        problems: what keeps updates from this gateway, in sentences for the operator.
    """

    url: str
    waiting: int
    most_connections: int | None
    failed_at: datetime | None
    failure: str
    problems: Sequence[str]

    def __str__(self) -> str:
        at_once = f", up to {self.most_connections} at once" if self.most_connections is not None else ""
        state = f"Telegram delivers updates to {self.url or 'no webhook'}{at_once}; {self.waiting} wait"
        if self.failed_at is not None:
            state += f"; the last failure was at {self.failed_at:%Y-%m-%d %H:%M:%S} UTC: {self.failure}"
        return "; ".join((state, *self.problems))


async def webhook_state(bot: Bot, url: str, updates: Sequence[str]) -> WebhookState:
    """Return the state of the bot's webhook.

    Args:
        url: the address of this gateway's webhook.
        updates: the kinds of updates that it has to get.

    Raises:
        TelegramError: if Telegram does not answer.
    """
    info = await bot.get_webhook_info()
    problems = []
    if info.url != url:
        problems.append(f"this gateway waits at {url}: if another program uses the bot, give each its own")
    elif missing := sorted(set(updates) - set(info.allowed_updates or ())):
        problems.append(
            f"the webhook was set without {', '.join(missing)}: if another program uses the bot, give each its own"
        )
    return WebhookState(
        url=info.url,
        waiting=info.pending_update_count,
        most_connections=info.max_connections,
        failed_at=info.last_error_date,
        failure=info.last_error_message or "",
        problems=problems,
    )
