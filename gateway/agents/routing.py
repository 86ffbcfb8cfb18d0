import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.agents.agent import Agent
from gateway.channels.commands import COMMANDS, parse_command
from oauth import SettingError
from toolkits import Message


@dataclass(frozen=True, slots=True)
class Route:
    """Which agent answers what: all that is given has to fit.

    Args:
        channel: like "slack".
        workspace: the Slack workspace, the Telegram bot's id, the WhatsApp number.
        command: what a message begins with, as "/mail" or "mail"; the agent is told what follows.

    Raises:
        SettingError: if the command is none, or one that the gateway answers itself.
    """

    agent: Agent
    channel: str | None = None
    workspace: str | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        command, *_ = self.key
        if command is None:
            return
        if command in COMMANDS:
            raise SettingError(f"A route is for /{command}, which the gateway answers itself: call it something else.")
        if re.fullmatch(r"[\w-]+", command) is None:
            raise SettingError(f"A route's command is {self.command!r}: make it letters, digits, _ and -, like /mail.")

    @property
    def key(self) -> tuple[str | None, ...]:
        command = self.command.removeprefix("/").lower() if self.command is not None else None
        return (command, self.workspace, self.channel)


class Router:
    """Chooses the agent of a message: by command, else by workspace, else by channel.

    Args:
        default: answers what no route fits.

    Raises:
        SettingError: if two routes are for the same.
    """

    def __init__(self, default: Agent, routes: Sequence[Route] = ()) -> None:
        self.default = default
        # What says more comes first: a command before a workspace, and that before a channel.
        self._routes = sorted(routes, key=lambda route: [part is None for part in route.key])
        for key, number in Counter(route.key for route in routes).items():
            if number > 1:
                raise SettingError(f"Two routes are for the same: {_described(key)}. Take one of them away.")

    @property
    def agents(self) -> list[Agent]:
        """All of them, each once."""
        return list(dict.fromkeys([self.default, *(route.agent for route in self._routes)]))

    def select(self, message: Message) -> tuple[Agent, Message]:
        """The agent that answers a message, and the message without the command that chose it."""
        found = parse_command(message.text)
        command = found.name if found is not None else None
        where = (message.conversation.tenant, message.conversation.channel)
        for route in self._routes:
            wanted_command, *wanted = route.key
            if wanted_command not in (None, command):
                continue
            if all(value in (None, actual) for value, actual in zip(wanted, where, strict=True)):
                if wanted_command is not None and found is not None:
                    message = replace(message, text=found.argument)
                return route.agent, message
        return self.default, message


def _described(key: tuple[str | None, ...]) -> str:
    names = ("command", "workspace", "channel")
    given = [f"{name} {value!r}" for name, value in zip(names, key, strict=True) if value is not None]
    return ", ".join(given) or "everything"
