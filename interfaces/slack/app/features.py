"""The scopes and events of the app, by the features that need them.

https://docs.slack.dev/reference/scopes
https://docs.slack.dev/reference/events
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """The bot scopes and bot events that a feature needs."""

    scopes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


MENTIONS = Need(("app_mentions:read",), ("app_mention",))
DIRECT_MESSAGES = Need(("im:history", "im:write"), ("message.im",))
GROUP_CONVERSATIONS = Need(("mpim:history", "mpim:read"), ("message.mpim",))
ANSWERS = Need(("chat:write",))
COMMANDS = Need(("commands",))
# Earlier messages of threads, and messages that may have been sent before.
HISTORY = Need(("channels:history", "groups:history"))
FILES = Need(("files:read", "files:write"))
REACTIONS = Need(("reactions:read",), ("reaction_added", "reaction_removed"))
NAMES = Need(("users:read",))
MOVED_CHANNELS = Need(("groups:read",), ("channel_id_changed",))  # a private channel that becomes shared
REMOVAL = Need((), ("app_uninstalled", "tokens_revoked"))
ALWAYS = (
    MENTIONS,
    DIRECT_MESSAGES,
    GROUP_CONVERSATIONS,
    ANSWERS,
    COMMANDS,
    HISTORY,
    FILES,
    REACTIONS,
    NAMES,
    MOVED_CHANNELS,
    REMOVAL,
)

AGENT_VIEW = Need(("assistant:write",), ("app_home_opened", "agent_session_stopped"))
APP_HOME = Need((), ("app_home_opened",))
JOINED_THREADS = Need(HISTORY.scopes, ("message.channels", "message.groups"))
VOUCHED_ADDRESSES = Need(("users:read", "users:read.email"))
ACCOUNTS = Need(("users:read",), ("user_change",))  # the accounts of somebody who left are suspended
ORGANIZATIONS = Need((), ("team_access_revoked",))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFeatures:
    """The features that an operator can switch, in the form in which they are in use.

    Args:
        agent_view, app_home, joined_threads: see `Slack`.
        vouched_addresses: whether Slack's e-mail addresses are trusted in some workspaces.
        many_workspaces: whether any workspace or organization can install the app.
        accounts: whether people can connect accounts.
        socket_mode: whether Slack's requests come over Socket Mode.
    """

    agent_view: bool = False
    app_home: bool = True
    joined_threads: bool = False
    vouched_addresses: bool = False
    many_workspaces: bool = False
    accounts: bool = False
    socket_mode: bool = False

    @property
    def scopes(self) -> list[str]:
        """The bot scopes, sorted."""
        return sorted({scope for need in self._needs() for scope in need.scopes})

    @property
    def events(self) -> list[str]:
        """The bot events, sorted."""
        return sorted({event for need in self._needs() for event in need.events})

    def _needs(self) -> Iterator[Need]:
        yield from ALWAYS
        switched = {
            AGENT_VIEW: self.agent_view,
            APP_HOME: self.app_home,
            JOINED_THREADS: self.joined_threads,
            VOUCHED_ADDRESSES: self.vouched_addresses,
            ACCOUNTS: self.accounts,
            ORGANIZATIONS: self.many_workspaces,
        }
        yield from (need for need, is_on in switched.items() if is_on)
