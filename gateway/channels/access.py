"""The policies that decide who may use a channel."""

from enum import StrEnum


class AccessPolicy(StrEnum):
    """Whom the agent answers in a channel: docs/access.md explains it."""

    #: Everybody.
    OPEN = "open"
    #: Only the people, chats and workspaces on the access list.
    ALLOWLIST = "allowlist"
    #: The same. Others who write directly get a code, with which an operator admits them.
    PAIRING = "pairing"
