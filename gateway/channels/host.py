"""What the gateway does for its channels."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from gateway.attachments.fetching import FileFetcher
from gateway.channels.event import Event, Feedback, Rating
from gateway.channels.question import Press, PressResult, QuestionCard
from gateway.history.threads import ThreadStore
from gateway.history.transcript import TranscriptEntry
from gateway.storage.files import FileStore
from oauth import Account, Identity
from oauth.store.installations import InstallationStore
from toolkits import Conversation


class Host(Protocol):
    """The gateway, as its channels see it.

    Attributes:
        base_url: the gateway's public address, without a slash at the end; `None` if the operator set none.
        takes_events: whether this process takes events, as `understudy serve` does and `understudy worker` does not.
    """

    base_url: str | None
    takes_events: bool

    @property
    def files(self) -> FileFetcher:
        """Fetches the files that people send, in the turn that reads them."""
        ...

    @property
    def stored_files(self) -> FileStore:
        """The files that agents send, and those that people upload to a channel without a platform of its own."""
        ...

    @property
    def most_upload_bytes(self) -> int:
        """The largest size of a file that somebody uploads, in bytes."""
        ...

    @property
    def installations(self) -> InstallationStore:
        """The bot tokens of the workspaces that installed the app, encrypted.

        Raises:
            SettingError: if there is no key to encrypt them with.
        """
        ...

    async def accept(self, event: Event) -> bool:
        """Commit an event to the inbox; return whether it is new. A webhook is answered only after that.

        Raises:
            EventNotAcceptedError: if it was not committed in time, or this process takes no events, or not yet: the
                gateway takes them once all channels are started. A route lets the error pass, so that the webhook is
                answered 503 and the platform delivers the event again. A channel that reads events from a socket
                waits for `retry_after` seconds and calls `accept` again.
        """
        ...

    async def press(self, press: Press) -> PressResult:
        """Take the press of a question's button, in one committed transaction. The channel acknowledges it after that.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: if it was not committed. It may be delivered again.
        """
        ...

    async def rate(self, feedback: Feedback) -> bool:
        """Commit what a person thinks of an answer; return whether there is such an answer that they can see.

        Their last rating of an answer counts. The operator's hook is called only if it changes.
        """
        ...

    async def ratings(self, identity: Identity, conversation: Conversation) -> Mapping[str, Rating]:
        """Return the ratings that a person gave in a conversation, by the references of the answers."""
        ...

    async def stop(self, conversation: Conversation, author: str) -> bool:
        """Ask the turn of a person in a conversation to stop; return whether there was one.

        It is the turn that answers them now, else the first of theirs that waits. A message that asks for it
        (`Event.stops`) does the same.

        Args:
            author: the platform's id of the person, as in `Event.author`.
        """
        ...

    async def played_for(self, channel: str, tenant: str, author: str) -> Sequence[Conversation]:
        """Return the conversations of a tenant in which a message of a person is being answered.

        Args:
            author: as for `stop`.
        """
        ...

    async def has_answered_in(self, conversation: Conversation) -> bool:
        """Return whether a message of this conversation was accepted before."""
        ...

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id. Its history and what waits in it stay with it.

        Nothing happens if there is no such conversation, or already one with the new id.
        """
        ...

    async def publish(self, conversation: Conversation, message: str) -> None:
        """Send a message to all subscribers of a conversation, in all processes. It may get lost."""
        ...

    async def subscribe(self, conversation: Conversation) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """Return a block in which a queue gets what is published of a conversation, and `None` at the end."""
        ...

    async def is_busy(self, conversation: Conversation) -> bool:
        """Return whether a message of a conversation is being answered or waits for its turn."""
        ...

    @property
    def threads(self) -> ThreadStore:
        """The conversations that people begin and name themselves."""
        ...

    async def transcript(self, conversation: Conversation) -> Sequence[TranscriptEntry]:
        """Return what was said in a conversation, oldest first."""
        ...

    def prompts(self, channel: str, tenant: str) -> Sequence[str]:
        """Return suggestions for a first message, from the agent that answers in a tenant of a channel."""
        ...

    @property
    def providers(self) -> Sequence[str]:
        """The providers of which the agents' tools need an account of each person."""
        ...

    async def accounts(self, identity: Identity) -> Sequence[Account]:
        """Return the accounts that a person has connected, for nobody but them."""
        ...

    async def disconnect(self, identity: Identity, provider: str) -> None:
        """End the connection of a person's account, at that person's own request."""
        ...

    async def open_questions(self, identity: Identity) -> Sequence[QuestionCard]:
        """Return the questions that wait for a person's answer, oldest first, for nobody but them."""
        ...

    def provider_label(self, provider: str) -> str:
        """Return what people call a provider."""
        ...

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        """Return a new sign-in link for the person who asks for it, and for nobody else.

        Args:
            name: what the channel shows for them.
        """
        ...
