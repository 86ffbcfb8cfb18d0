import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol, Self, SupportsIndex, runtime_checkable

from oauth import Identity
from toolkits.text import storable


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where replies go: a direct message, a channel thread, a group topic.

    `id` is unique inside the tenant, and only the channel reads anything into it. `shared` says whether
    several people read the conversation.
    """

    channel: str
    tenant: str
    id: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something that came with a message and is not text: `kind` is a word for it, like "image"."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One inbound event in channel-neutral form. What cannot be stored of its texts (see `storable`) is left out.

    Args:
        id: the platform's own id of the message, which a reply may refer to.
        text: as the person wrote it, a mention of the bot taken off.
        sender: who wrote it, from the signed payload.
        sender_name: what the channel shows for them.
        anonymous: whether several people share `sender`, so that it may use nobody's account.
        command: a bot command (`start`, `help`, `new`) that the gateway answers itself, and `argument` what followed.
        raw: the payload as it came.

    `str(message)` is its text, so that a message can stand in a prompt; `repr(message)` has all of it but `raw`.
    """

    id: str
    text: str
    sender: Identity
    sender_name: str
    conversation: Conversation
    attachments: tuple[Attachment, ...] = ()
    anonymous: bool = False
    command: str | None = None
    argument: str = ""
    raw: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in ("text", "sender_name", "argument"):
            object.__setattr__(self, name, storable(getattr(self, name)))

    def __str__(self) -> str:
        return self.text


@runtime_checkable  # a framework that makes a schema of what a tool takes needs it to be
class CredentialSource(Protocol):
    """Gives the credentials of one turn's sender, while the turn lasts."""

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any: ...

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any: ...

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool: ...


@runtime_checkable
class MessageSender(Protocol):
    """Writes to conversations, now or later."""

    async def send(
        self, conversation: Conversation, text: str, *, at: datetime | None = None, key: str | None = None
    ) -> str | None: ...


_HAND_OVER = "get the credentials before another process is started, and give it what it needs of them."


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """What the tools of a turn are told about it. It is handed over explicitly and holds no credential.

    Args:
        identity: whose turn it is.
        conversation: where the answer goes.
        message: what they wrote.
        deadline: when the turn is ended, aware, in UTC.
        reference: the turn's id, as it stands in the log and in a sentence about an error.
        process_id: the process in which the turn runs.
    """

    identity: Identity
    conversation: Conversation
    message: Message
    deadline: datetime
    reference: str
    credential_source: CredentialSource = field(repr=False)
    message_sender: MessageSender | None = field(default=None, repr=False)
    process_id: int = field(default_factory=os.getpid, repr=False)

    def __copy__(self) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"A TurnContext cannot be pickled or copied deeply: {_HAND_OVER}")

    def _check_process(self) -> None:
        """Refuse a process that was forked, in which the event loop of the turn does not run."""
        if os.getpid() != self.process_id:
            raise RuntimeError(f"A TurnContext is of use in the process of its turn alone: {_HAND_OVER}")

    async def send(self, text: str, *, at: datetime | None = None, key: str | None = None) -> str | None:
        """Writes to this conversation, besides the answer. All who are in it read it.

        Once the turn has read something private it goes to the turn's person alone, as a private answer does.

        Args:
            text: markdown.
            at: when it is sent, aware; now, unless given.
            key: of what is sent to a tenant under one key, only the first is: so a tool that is called again does not
                send again.

        Returns:
            Its reference; `None` if something was sent under that key before.

        Raises:
            RuntimeError: if the turn has no channel to send to, or runs in another process.
            ToolError: if it is for one person alone, and several share their id.
        """
        self._check_process()
        if self.message_sender is None:
            raise RuntimeError("there is no channel to send to")
        return await self.message_sender.send(self.conversation, text, at=at, key=key)

    async def credentials(self, provider: str, scopes: Iterable[str] = (), *, renew: bool = False) -> Any:
        """The sender's own credentials, loaded from the store now. Keep them on the cloned toolkit only.

        Args:
            provider: the provider's name, like `google`.
            scopes: what the tool needs.
            renew: the provider has just rejected the last ones.

        Returns:
            What the provider's client library takes: for Google a `google.oauth2.credentials.Credentials`.

        Raises:
            ConsentRequiredError: if the person has not connected this account. The turn ends there and is played again
                when they have.
            CredentialsRefusedError: if this turn may use nobody's account, or is over.
            RuntimeError: if the turn runs in another process.
        """
        self._check_process()
        return await self.credential_source.credentials(provider, scopes, renew=renew)

    async def is_connected(self, provider: str, scopes: Iterable[str] = ()) -> bool:
        """Whether `credentials` would give some, without a sign-in."""
        self._check_process()
        return await self.credential_source.is_connected(provider, scopes)

    def credentials_sync(self, provider: str, scopes: Iterable[str] = (), *, renew: bool = False) -> Any:
        """As `credentials`, for a tool that runs in a thread. It blocks the thread, so never call it in a coroutine.

        Raises:
            RuntimeError: if it is called in a coroutine, or the turn runs in another process.
            TimeoutError: if there is no answer at the turn's deadline.
        """
        self._check_process()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            remaining = (self.deadline - datetime.now(UTC)).total_seconds()
            return self.credential_source.credentials_sync(provider, scopes, renew=renew, timeout=remaining)
        raise RuntimeError("credentials_sync() blocks, and this is a coroutine: await credentials() instead")
