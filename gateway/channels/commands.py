"""Recognize commands in the text of a message."""

import re
from dataclasses import dataclass

COMMANDS = ("start", "help", "new", "stop", "accounts", "disconnect")
"""The commands that the gateway answers itself."""

_COMMAND = re.compile(r"(?P<slash>/)?(?P<name>[\w-]+)(?:@(?P<bot>\w+))?(?:\s+(?P<argument>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A command like `/disconnect google` or `/help@our_bot`.

    Args:
        name: in lower case, without the slash.
        argument: what follows it, empty if nothing does.
        bot: the username of the bot that it is for, where it names one.
        has_slash: whether it begins with a slash.
    """

    name: str
    argument: str
    bot: str | None = None
    has_slash: bool = True


def parse_command(text: str, *, plain: bool = False) -> Command | None:
    """Return the command that a text is; `None` if it is none.

    Args:
        plain: whether a command may have no slash, so that every text which begins with a word is one.
    """
    found = _COMMAND.fullmatch(text.strip())
    if found is None or not (found["slash"] or plain):
        return None
    return Command(found["name"].lower(), found["argument"] or "", found["bot"], bool(found["slash"]))


def command_in(text: str, *, plain: bool = False) -> tuple[str | None, str]:
    """Return the name and the argument of a command that the gateway answers itself; `None` and "" for other texts.

    Args:
        plain: whether `new`, `stop`, `accounts` and `disconnect NAME` are commands without a slash, too.
    """
    command = parse_command(text, plain=plain)
    if command is None or command.bot is not None or command.name not in COMMANDS:
        return None, ""
    if not command.has_slash and not _is_plain(command):
        return None, ""
    return command.name, command.argument


def is_stop(text: str, *, plain: bool = False) -> bool:
    """Return whether a text is the command to stop what its author asked for before.

    Args:
        plain: whether the word `stop` alone is the command, too.
    """
    return command_in(text, plain=plain)[0] == "stop"


def _is_plain(command: Command) -> bool:
    """Return whether a command needs no slash, rather than being the first word of a sentence."""
    if command.name in ("new", "stop"):
        return not command.argument
    return command.name in ("accounts", "disconnect") and len(command.argument.split()) <= 1
