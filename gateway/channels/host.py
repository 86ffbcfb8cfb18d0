"""The protocol through which channels use the gateway."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.attachments.fetching import FileFetcher
from gateway.channels.event import DeliveryReport, Event, Feedback, Rating
from gateway.channels.question import Press, PressResult, QuestionCard
from gateway.history.threads import ThreadStore
from gateway.history.transcript import TranscriptEntry
from gateway.storage.files import FileStore
from oauth import Account, Identity
from oauth.store.installations import InstallationStore
from toolkits import Conversation


@dataclass(frozen=True, slots=True)
class Person:
    """A person who wrote.

    Args:
        identity: whom the gateway knows them as.
        opted_out: whether they want to get no messages.
    """

    identity: Identity
    opted_out: bool


class Host(Protocol):
    """The gateway, as its channels see it.

    Attributes:
        base_url: the gateway's public address, without a slash at the end; `None` if the operator did not set it.
        takes_events: whether this process takes events: `understudy serve` does, and `understudy worker` does not.
    """

    base_url: str | None
    takes_events: bool

    @property
    def files(self) -> FileFetcher:
        """Fetches the files that people send. Use it in the turn that reads them."""
        ...

    @property
    def stored_files(self) -> FileStore:
        """The files that agents send, and those that people upload to a channel whose platform does not store files."""
        ...

    @property
    def most_upload_bytes(self) -> int:
        """The largest size of a file that somebody uploads, in bytes."""
        ...

    @property
    def installations(self) -> InstallationStore:
        """The encrypted bot tokens of the workspaces that installed the app.

        Raises:
            SettingError: if UNDERSTUDY_SECRET_KEY is not set.
        """
        ...

    async def accept(self, event: Event) -> bool:
        """Commit an event to the inbox; return whether it is new. Answer the webhook only after that.

        Nothing of an event is stored if its author may not use the channel; it is not new then. If they wrote directly,
        the gateway tells them so once.

        Raises:
            EventNotAcceptedError: if the event was not committed in time, or this process takes no events, or takes
                none yet because not all channels have started. A route lets the error pass, so that the webhook is
                answered 503 and the platform delivers the event again. A channel that reads events from a socket waits
                for `retry_after` seconds and calls `accept` again.
        """
        ...

    async def admits(self, identity: Identity, conversation: Conversation | None = None) -> bool:
        """Return whether a person may use the channel: see `Interface.access`.

        `accept`, `press` and `rate` check it themselves. Call this method before a channel answers by itself.

        Args:
            conversation: where the person writes, as everybody in a chat may be admitted; `None` if it is in none.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: if the database did not answer.
        """
        ...

    async def exclusively(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a function in only one of all processes at a time, such as a connection that a platform allows only once.

        The call waits until no other process runs a function under this name, runs the function, and returns when the
        function returns. If this process cannot reach the database for some seconds, the function is cancelled, and the
        call waits again. If the process dies or hangs, another one takes over after UNDERSTUDY_TAKEOVER_SECONDS.
        Cancel the call to stop the function and to let another process take over at once.

        A process that was suspended may notice only some seconds after it continues that another one has taken over.
        What the function does has to be harmless then: `accept` drops an event that was accepted before.

        Args:
            name: begin it with the channel's name. Call this method once for each name in a process.
            work: the function. It has to end soon after it is cancelled.
        """
        ...

    async def recognize(self, identity: Identity, platform_id: str | None) -> Person:
        """Return the person who wrote from an address that may pass to another person, like a phone number.

        The person keeps the identity with which they were first seen. If an address that is known to belong to one
        person is used by another, that one gets an identity of their own, and nothing is sent to the former any more.

        Args:
            identity: the address, as the user id of an identity.
            platform_id: the platform's own id of the person, which never passes to others; `None` if the platform does
                not tell it. The same id as the user id of `identity`, if the platform does not tell the address.
        """
        ...

    async def opt_out(self, identity: Identity, event_id: str) -> bool:
        """Commit that a person wants to get no messages. What is to be sent to them becomes a dead letter.

        Args:
            event_id: an id of the event. A repeated event does nothing.

        Returns:
            Whether the event is new.
        """
        ...

    async def opt_in(self, identity: Identity, event_id: str) -> bool:
        """Commit that a person wants to get messages again: see `opt_out`."""
        ...

    async def press(self, press: Press) -> PressResult:
        """Commit the press of a question's button. The channel acknowledges the press after that.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: if the press was not committed. It may be delivered again.
        """
        ...

    async def report_delivery(self, report: DeliveryReport) -> bool:
        """Commit what the platform reports about a message; return whether it says something new about one of ours.

        Reports may come in any order, more than once, and before the sending method returns. Answer the webhook 2xx
        after this, whatever the result, because a platform may report the messages of other programs, too.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: if the report was not committed. It may be delivered again.
        """
        ...

    async def rate(self, feedback: Feedback) -> bool:
        """Commit a person's rating of an answer; return whether the answer exists and the person can see it.

        The last rating of a person counts. The operator's feedback hook is called only if the rating changes.
        """
        ...

    async def ratings(self, identity: Identity, conversation: Conversation) -> Mapping[str, Rating]:
        """Return the ratings that a person gave in a conversation, by the reference of the answer."""
        ...

    async def stop(self, conversation: Conversation, author: str) -> bool:
        """Stop a person's turn in a conversation; return whether there was one.

        The running turn of the person is stopped, or if there is none, the first that waits. An event with
        `Event.stops` does the same.

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
        """Give a shared conversation another id, because its platform did. It keeps its history and all that waits.

        The conversations in it, whose ids begin with its id and `/`, move along. If a conversation with the new id
        exists already, the two become one. Events and messages that name the old id still find the conversation.
        Nothing happens if the conversation does not exist, or was moved before.
        """
        ...

    async def publish(self, conversation: Conversation, message: str) -> None:
        """Send a message to all subscribers of a conversation, in all processes. Delivery is not guaranteed."""
        ...

    async def subscribe(self, conversation: Conversation) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """Subscribe to a conversation. In the returned block, a queue gets its messages, and `None` at the end."""
        ...

    async def is_busy(self, conversation: Conversation) -> bool:
        """Return whether a message of a conversation is being answered or waits for its turn."""
        ...

    @property
    def threads(self) -> ThreadStore:
        """The store of conversations that people begin and name themselves."""
        ...

    async def transcript(self, conversation: Conversation) -> Sequence[TranscriptEntry]:
        """Return the last messages and answers of a conversation, oldest first."""
        ...

    def commands(self, channel: str, tenant: str) -> Mapping[str, str]:
        """Return the commands that people can use in a tenant of a channel, each with its description for people.

        These are the gateway's own, and those of the routes.
        """
        ...

    def description(self, channel: str, tenant: str) -> str:
        """Return what the agent is for that answers in a tenant of a channel; it may be empty."""
        ...

    def prompts(self, channel: str, tenant: str) -> Sequence[str]:
        """Return suggestions for a first message, from the agent that answers in a tenant of a channel."""
        ...

    @property
    def providers(self) -> Sequence[str]:
        """The OAuth providers whose accounts the agents' tools use."""
        ...

    async def accounts(self, identity: Identity) -> Sequence[Account]:
        """Return the accounts that a person has connected. Show them only to this person."""
        ...

    async def disconnect(self, identity: Identity, provider: str) -> None:
        """Disconnect a person's account. Call it only at this person's request."""
        ...

    async def suspend(self, identity: Identity) -> None:
        """Suspend a person's accounts, because the platform says that they left.

        No tool uses the accounts until an operator decides. Nothing is deleted or revoked. Further calls do nothing.
        """
        ...

    async def open_questions(self, identity: Identity) -> Sequence[QuestionCard]:
        """Return the questions that wait for a person's answer, oldest first. Show them only to this person."""
        ...

    def provider_label(self, provider: str) -> str:
        """Return the name of a provider, as people know it."""
        ...

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        """Return a new sign-in link for a person who asked for it. Show it only to this person.

        Args:
            name: the name that the channel shows for the person.
        """
        ...
