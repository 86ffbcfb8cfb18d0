"""Try the token of a bot, and look at its webhook."""

from collections.abc import AsyncIterator, Sequence

from telegram import Bot
from telegram.error import InvalidToken, TelegramError

from gateway.channels.diagnosis import Finding, ok, problem, warning
from interfaces.telegram.setup.webhook import webhook_state


async def try_bot(
    bot: Bot, channel: str, variable: str, url: str | None, updates: Sequence[str]
) -> AsyncIterator[Finding]:
    """Try a bot's token, and compare its webhook with the one of this gateway.

    https://core.telegram.org/bots/api#getme and https://core.telegram.org/bots/api#getwebhookinfo

    Args:
        variable: the setting that has the token.
        url: the address of this gateway's webhook; `None` if it polls.
        updates: the kinds of updates that the gateway has to get.
    """
    subject = f"{channel} bot token"
    try:
        async with bot:  # asks getMe
            yield ok(subject, f"Telegram takes it, as @{bot.username}.")
            subject = f"{channel} webhook"
            if url is None:
                yield ok(subject, "The gateway polls Telegram and needs no webhook.")
                return
            state = await webhook_state(bot, url, updates)
    except InvalidToken:
        yield problem(
            subject,
            f"Telegram rejects {variable}: set it to the token that https://t.me/BotFather shows for the bot.",
        )
        return
    except TelegramError as error:
        yield problem(
            subject, f"Telegram could not be asked: {error.message}. Check this machine's network, and try again."
        )
        return
    if not state.url:
        yield warning(subject, f"The bot has no webhook yet: the start of the gateway sets it to {url}.")
    elif state.problems or state.failed_at is not None:
        yield warning(subject, f"{state}. The next start of the gateway sets the webhook again.")
    else:
        yield ok(subject, f"{state}.")
