"""What the gateway does for its channels."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from gateway.channels.event import Event
from gateway.history.threads import ThreadStore
from gateway.history.transcript import TranscriptEntry
from oauth import Identity
from oauth.store.installations import InstallationStore
from toolkits import Conversation


class Host(Protocol):
    """What the gateway does for its channels."""

    base_url: str | None

    @property
    def installations(self) -> InstallationStore:
        """The bot tokens of the workspaces that installed the app, encrypted.

        Raises:
            SettingError: if there is no key to encrypt them with.
        """
        ...

    async def accept(self, event: Event) -> bool:
        """Commits an event to the inbox; returns whether it is new. Then, and not before, the webhook is answered.

        What it raises is answered 503 by the gateway: the platform delivers the event again.
        """
        ...

    async def has_answered_in(self, conversation: Conversation) -> bool:
        """Whether a message of this conversation was accepted before."""
        ...

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id: what waits there, and its history, go with it.

        Nothing happens where there is no such conversation, or one with the new id already.
        """
        ...

    async def publish(self, conversation: Conversation, message: str) -> None:
        """Tells something of a conversation to who listens, in whichever process. It may be lost."""
        ...

    async def subscribe(self, conversation: Conversation) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """What is published of a conversation from now on, in a block; `None` when there will be no more."""
        ...

    async def is_busy(self, conversation: Conversation) -> bool:
        """Whether something of a conversation is being answered, or waits for its turn."""
        ...

    @property
    def threads(self) -> ThreadStore:
        """The conversations that people begin and name themselves."""
        ...

    async def transcript(self, conversation: Conversation) -> Sequence["TranscriptEntry"]:
        """What was said in a conversation, oldest first."""
        ...

    def provider_label(self, provider: str) -> str:
        """What people call a provider."""
        ...

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        """A sign-in link for a person, who is the one that asks for it.

        Args:
            name: what the channel shows for them.
        """
        ...
