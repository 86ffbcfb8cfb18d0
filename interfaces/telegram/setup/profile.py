"""Register the bot's commands and describe the bot, without replacing what its operator has set.

https://core.telegram.org/bots/api#setmycommands, https://core.telegram.org/bots/api#setmydescription
"""

import re
from collections.abc import Mapping, Sequence

from telegram import Bot, BotCommand, BotCommandScope, BotCommandScopeAllGroupChats, BotCommandScopeAllPrivateChats

from gateway.channels.commands import COMMANDS
from interfaces.telegram.buttons import shortened

NOT_IN_MENU = ("start",)  # Telegram shows a button for it
NOT_IN_GROUPS = ("accounts", "disconnect")  # they are about one person
VALID_NAME = re.compile(r"[a-z0-9_]{1,32}")
MOST_COMMANDS = 100
LONGEST_COMMAND_DESCRIPTION = 256  # characters: https://core.telegram.org/bots/api#botcommand
LONGEST_DESCRIPTION = 512  # characters
LONGEST_SHORT_DESCRIPTION = 120  # characters

# The texts of the gateway are in English, so that its commands are registered for people of all languages.
_PRIVATE, _GROUPS = BotCommandScopeAllPrivateChats(), BotCommandScopeAllGroupChats()


async def register_commands(bot: Bot, commands: Mapping[str, str]) -> None:
    """Register commands for private chats and for groups, if they differ from those that are registered.

    Telegram shows the list of the narrowest scope. A list that the operator has set stays as it is, and the list of the
    widest scope, which BotFather sets, is not hidden by the gateway's own lists.

    Args:
        commands: the descriptions of the commands, by their names.

    Raises:
        TelegramError: if Telegram does not answer, or refuses a command.
    """
    is_operators = _is_operators(await bot.get_my_commands())
    for scope, left_out in ((_PRIVATE, NOT_IN_MENU), (_GROUPS, (*NOT_IN_MENU, *NOT_IN_GROUPS))):
        await _register(bot, scope, [] if is_operators else _listed(commands, left_out))


async def describe_bot(bot: Bot, description: str) -> None:
    """Set the texts of the bot's profile and of its empty chat, if it has none.

    Raises:
        TelegramError: if Telegram does not answer.
    """
    if not description:
        return
    if not (await bot.get_my_description()).description:
        await bot.set_my_description(shortened(description, LONGEST_DESCRIPTION))
    if not (await bot.get_my_short_description()).short_description:
        await bot.set_my_short_description(shortened(description, LONGEST_SHORT_DESCRIPTION))


async def _register(bot: Bot, scope: BotCommandScope, wanted: Sequence[BotCommand]) -> None:
    """Register a list for a scope, or remove the gateway's own if it is empty. A list of the operator stays."""
    known = list(await bot.get_my_commands(scope))
    if _is_operators(known) or known == wanted:
        return
    if wanted:
        await bot.set_my_commands(wanted, scope)
    else:
        await bot.delete_my_commands(scope)


def _is_operators(known: Sequence[BotCommand]) -> bool:
    """Return whether the operator has set a list: the gateway's own lists describe a command in the gateway's words."""
    return bool(known) and not any(COMMANDS.get(each.command) == each.description for each in known)


def _listed(commands: Mapping[str, str], left_out: Sequence[str]) -> list[BotCommand]:
    valid = [name for name in commands if VALID_NAME.fullmatch(name) and name not in left_out]
    return [BotCommand(name, shortened(commands[name], LONGEST_COMMAND_DESCRIPTION)) for name in valid[:MOST_COMMANDS]]
