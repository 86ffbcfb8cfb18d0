"""Recognize commands in the text of a message."""

import re
from dataclasses import dataclass

COMMANDS = {
    "start": "Say hello",
    "help": "Say what I can do",
    "new": "Begin a new conversation",
    "stop": "Stop what I am doing",
    "accounts": "Show the accounts that you have connected",
    "disconnect": "Disconnect an account",
}
"""The commands that the gateway answers itself, each with its description for people."""

OF_ACCOUNTS = ("accounts", "disconnect")
"""The commands that do nothing if no agent needs an account."""

_COMMAND = re.compile(r"(?P<slash>/)?(?P<name>[\w-]+)(?:@(?P<bot>\w+))?(?:\s+(?P<argument>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A command like `/disconnect google` or `/help@our_bot`.

    Args:
        name: the name in lower case, without the slash.
        argument: the text after the name; it may be empty.
        bot: the username of the bot that the command names, if any.
        has_slash: whether the command begins with a slash.
    """

    name: str
    argument: str
    bot: str | None = None
    has_slash: bool = True


def parse_command(text: str, *, plain: bool = False) -> Command | None:
    """Parse a text as a command; return `None` if it is not a command.

    Args:
        plain: whether the slash is optional. Then every text that begins with a word is a command.
    """
    found = _COMMAND.fullmatch(text.strip())
    if found is None or not (found["slash"] or plain):
        return None
    return Command(found["name"].lower(), found["argument"] or "", found["bot"], bool(found["slash"]))


def command_in(text: str, *, plain: bool = False) -> tuple[str | None, str]:
    """Return the name and the argument of a command that the gateway answers itself; `None` and "" for other texts.

    Args:
        plain: whether `new`, `stop`, `accounts` and `disconnect NAME` are also commands without a slash.
    """
    command = parse_command(text, plain=plain)
    if command is None or command.bot is not None or command.name not in COMMANDS:
        return None, ""
    if not command.has_slash and not _is_plain(command):
        return None, ""
    return command.name, command.argument


def _is_plain(command: Command) -> bool:
    """Return whether a text without a slash is a command, and not a sentence that begins with the same word."""
    if command.name in ("new", "stop"):
        return not command.argument
    return command.name in ("accounts", "disconnect") and len(command.argument.split()) <= 1
