"""Routes, which choose the agent that answers a message."""

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
    """A route: it sends the messages that fit all of its conditions to an agent.

    Args:
        agent: the agent that answers these messages.
        channel: the name of the channel, like "slack" or "slack.sales"; `None` for any. "slack" is only the interface
            that has no name.
        workspace: the Slack workspace, the id of the Telegram bot or the WhatsApp number; `None` for any.
        command: the command that the message begins with, like "/mail" or "mail"; `None` for any message. The agent
            gets the text after the command.

    Raises:
        SettingError: if the command has characters that no command has, or the gateway answers it itself.
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
            raise SettingError(f"A route is for /{command}, which the gateway answers itself: choose another command.")
        if re.fullmatch(r"[\w-]+", command) is None:
            raise SettingError(
                f"A route's command is {self.command!r}: use only letters, digits, _ and -, as in /mail."
            )

    @property
    def key(self) -> tuple[str | None, ...]:
        """The command without its slash in lower case, the workspace and the channel."""
        command = self.command.removeprefix("/").lower() if self.command is not None else None
        return (command, self.workspace, self.channel)


class Router:
    """Chooses the agent that answers a message: by command first, then by workspace, then by channel.

    Args:
        default: the agent that answers the messages that fit no route.

    Raises:
        SettingError: if two routes are for the same messages.
    """

    def __init__(self, default: Agent, routes: Sequence[Route] = ()) -> None:
        self.default = default
        # The more specific routes come first: a command before a workspace, a workspace before a channel.
        self._routes = sorted(routes, key=lambda route: [part is None for part in route.key])
        for key, number in Counter(route.key for route in routes).items():
            if number > 1:
                raise SettingError(f"Two routes are for the same messages: {_described(key)}. Remove one of them.")

    @property
    def agents(self) -> list[Agent]:
        """All agents, each once: first the default, then the agents of the routes."""
        return list(dict.fromkeys([self.default, *(route.agent for route in self._routes)]))

    def select(self, message: Message) -> tuple[Agent, Message]:
        """Return the agent that answers a message, and the message without the command that chose the agent."""
        found, where = parse_command(message.text), message.conversation
        route = self._route(found.name if found is not None else None, where.tenant, where.channel)
        if route is None:
            return self.default, message
        if route.command is not None and found is not None:
            message = replace(message, text=found.argument)
        return route.agent, message

    def agent_of(self, channel: str, workspace: str) -> Agent:
        """Return the agent that answers the messages of a workspace that do not begin with a command."""
        route = self._route(None, workspace, channel)
        return self.default if route is None else route.agent

    def commands(self, channel: str, workspace: str | None) -> dict[str, str]:
        """Return the commands that choose an agent in a workspace, each with what the agent is for.

        Args:
            workspace: `None` for all workspaces of the channel.
        """
        found = {}
        for route in reversed(self._routes):  # the more specific routes replace the others
            command, *place = route.key
            where = (workspace or place[0], channel)
            if command is not None and all(
                wanted in (None, actual) for wanted, actual in zip(place, where, strict=True)
            ):
                found[command] = route.agent.description or f"Ask {route.agent.name}"
        return found

    def _route(self, *given: str | None) -> Route | None:
        """Return the first route that fits a command, a workspace and a channel; `None` if no route does."""
        fitting = (
            route
            for route in self._routes
            if all(wanted in (None, actual) for wanted, actual in zip(route.key, given, strict=True))
        )
        return next(fitting, None)


def _described(key: tuple[str | None, ...]) -> str:
    names = ("command", "workspace", "channel")
    given = [f"{name} {value!r}" for name, value in zip(names, key, strict=True) if value is not None]
    return ", ".join(given) or "everything"
