"""The context of a turn, which its tools receive."""

import asyncio
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self, SupportsIndex, runtime_checkable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from oauth import Identity
from toolkits.attachment import Attachment
from toolkits.errors import ToolError
from toolkits.file import File
from toolkits.quoted import QuotedMessage
from toolkits.template import Template
from toolkits.text import storable


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where replies go: a direct message, a channel thread, a group topic.

    `id` is unique inside the tenant, and only the channel interprets it. `shared` says whether several people read the
    conversation.
    """

    channel: str
    tenant: str
    id: str
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One inbound event in channel-neutral form. Its texts are made `storable`.

    Args:
        id: the platform's own id of the message, which a reply may refer to.
        text: what the person wrote, without the mention of the bot.
        sender: who wrote it, from the signed payload.
        sender_name: the sender's name as the channel shows it.
        attachments: files and other things that the sender sent with the text.
        quoted: messages that the message refers to, oldest first: usually of other people, and not a part of `text`.
        anonymous: whether several people share `sender`. The turn may then not use any account.
        locale: the sender's language, as a tag like "en-US"; empty if the channel does not tell it.
        timezone: the sender's time zone, as an IANA name like "Europe/Berlin"; empty if the channel does not tell it.
        command: a bot command (`start`, `help`, `new`) that the gateway answers itself.
        argument: the text after the command.
        raw: the payload as the platform sent it.

    `str(message)` is its text, so that a message can be put into a prompt. `repr(message)` leaves out `raw`.
    """

    id: str
    text: str
    sender: Identity
    sender_name: str
    conversation: Conversation
    attachments: tuple[Attachment, ...] = ()
    quoted: tuple[QuotedMessage, ...] = ()
    anonymous: bool = False
    locale: str = ""
    timezone: str = ""
    command: str | None = None
    argument: str = ""
    raw: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in ("text", "sender_name", "argument"):
            object.__setattr__(self, name, storable(getattr(self, name)))
        object.__setattr__(self, "locale", self.locale if _LOCALE.fullmatch(self.locale) else "")
        object.__setattr__(self, "timezone", self.timezone if _is_timezone(self.timezone) else "")

    def __str__(self) -> str:
        return self.text


_LOCALE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")  # https://www.rfc-editor.org/info/bcp47


def _is_timezone(name: str) -> bool:
    if not name:
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError for names of folders, like "Europe"
        return False
    return True


@runtime_checkable  # for frameworks that make a schema of a tool's arguments
class CredentialSource(Protocol):
    """Loads the credentials of one turn's sender, while the turn lasts."""

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        """Return the sender's credentials: see `TurnContext.credentials`."""
        ...

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        """Return the sender's credentials to a thread, within `timeout` seconds."""
        ...

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        """Return whether the sender has connected an account with these permissions."""
        ...


@runtime_checkable
class MessageSender(Protocol):
    """Sends messages to conversations, now or later."""

    async def send(
        self,
        conversation: Conversation,
        text: str,
        *,
        template: Template | None = None,
        files: Sequence[File] = (),
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a text and files, or a template: see `TurnContext.send`."""
        ...


@runtime_checkable
class QuestionSource(Protocol):
    """Asks the person of one turn, while the turn lasts."""

    async def ask(self, question: str, choices: Sequence[str], *, free_text: bool, within: timedelta) -> str:
        """Return the person's answer: see `TurnContext.ask`."""
        ...

    def ask_sync(
        self, question: str, choices: Sequence[str], *, free_text: bool, within: timedelta, timeout: float
    ) -> str:
        """Return the person's answer to a thread: see `TurnContext.ask_sync`."""
        ...


NOBODY_TO_ASK = "Nobody can be asked here."
ONE_DAY = timedelta(days=1)

_ADVICE = "get the credentials before you start another process, and pass it what it needs of them."


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """The context of a turn, for its tools. It is passed explicitly and holds no credentials.

    Args:
        identity: the person whose turn it is.
        conversation: where the answer goes.
        message: what the person wrote.
        deadline: when the turn is stopped, as an aware datetime in UTC.
        reference: the turn's id, which is in the log and in sentences about errors.
        process_id: the process in which the turn runs.
    """

    identity: Identity
    conversation: Conversation
    message: Message
    deadline: datetime
    reference: str
    credential_source: CredentialSource = field(repr=False)
    message_sender: MessageSender | None = field(default=None, repr=False)
    question_source: QuestionSource | None = field(default=None, repr=False)
    process_id: int = field(default_factory=os.getpid, repr=False)

    @property
    def locale(self) -> str:
        """The language of the person, as a tag like "en-US"; empty if the channel does not tell it."""
        return self.message.locale

    @property
    def timezone(self) -> str:
        """The time zone of the person, as an IANA name like "Europe/Berlin"; empty if the channel does not tell it."""
        return self.message.timezone

    def __copy__(self) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"A TurnContext cannot be pickled or copied deeply: {_ADVICE}")

    def _check_process(self) -> None:
        """Raise an error in a forked process, where the event loop of the turn does not run."""
        if os.getpid() != self.process_id:
            raise RuntimeError(f"A TurnContext works only in the process of its turn: {_ADVICE}")

    async def send(
        self,
        text: str = "",
        *,
        template: Template | None = None,
        files: Sequence[File] = (),
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a text to this conversation, besides the answer. Everybody in the conversation can read it.

        After the turn has read something private, the text goes only to the turn's person, like a private answer.

        Args:
            text: markdown; it may be empty if there are files.
            template: a template to send instead of a text and files, on a channel that has templates.
            files: files to send with the text. They are stored before this method returns, and sent in order with other
                messages.
            at: when to send it, as an aware datetime. Default: now.
            key: an idempotency key: in a tenant, later calls with the same key do nothing.

        Returns:
            The text's reference; `None` if something was sent with that key before.

        Raises:
            RuntimeError: if the turn has no channel to send to, or runs in another process.
            ToolError: if the text may go only to the turn's person, but several people share their id, or if the
                platform does not accept the template or one of the files.
            OSError: if a file cannot be read.
        """
        self._check_process()
        if self.message_sender is None:
            raise RuntimeError("there is no channel to send to")
        return await self.message_sender.send(self.conversation, text, template=template, files=files, at=at, key=key)

    async def send_file(
        self,
        data: bytes | os.PathLike[str],
        *,
        name: str = "",
        media_type: str = "",
        caption: str = "",
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a file to this conversation, as `send` sends a text.

        Args:
            data: the content, or the path of the file that has it.
            name: the name that people see: see `File`.
            media_type: like "image/png": see `File`.
            caption: a text that goes with the file, in markdown.

        Returns, Raises:
            as `send`.
        """
        file = File(data if isinstance(data, bytes) else Path(data), name=name, media_type=media_type)
        return await self.send(caption, files=[file], at=at, key=key)

    async def ask(
        self,
        question: str,
        choices: Sequence[str] = (),
        *,
        free_text: bool | None = None,
        within: timedelta = ONE_DAY,
    ) -> str:
        """Ask the turn's person, and return their answer.

        The turn stops here, and is played again when the person has answered: the tool then runs again from its
        beginning, and this call returns the answer. So do nothing before this call that must not be done twice. If a
        tool asks several questions, their order assigns the answers to them. Other tool calls that are running finish
        first.

        In a shared conversation everybody can read the question, unless the turn has read something private; nobody
        else can answer it.

        Args:
            question: markdown.
            choices: the answers to choose from, shown as buttons if the channel has them. At most 10, each of at most
                75 characters.
            free_text: whether any text is an answer. Default: only if there are no choices.
            within: how long the person has to answer.

        Returns:
            One of the choices, or what the person wrote.

        Raises:
            NoAnswerError: if the person did not answer in time.
            ToolError: if nobody can be asked, as in `Gateway.run`, or the question cannot be shown.
            RuntimeError: if the turn runs in another process.
        """
        self._check_process()
        if self.question_source is None:
            raise ToolError(NOBODY_TO_ASK)
        is_free = not choices if free_text is None else free_text
        return await self.question_source.ask(question, choices, free_text=is_free, within=within)

    def ask_sync(
        self,
        question: str,
        choices: Sequence[str] = (),
        *,
        free_text: bool | None = None,
        within: timedelta = ONE_DAY,
    ) -> str:
        """Ask the turn's person as `ask` does, from a tool that runs in a thread. The call blocks the thread.

        Raises:
            RuntimeError: if it is called in a coroutine, or the turn runs in another process.
        """
        remaining = self._remaining_in_thread("ask_sync() blocks the event loop in a coroutine: await ask() instead")
        if self.question_source is None:
            raise ToolError(NOBODY_TO_ASK)
        is_free = not choices if free_text is None else free_text
        return self.question_source.ask_sync(question, choices, free_text=is_free, within=within, timeout=remaining)

    async def credentials(self, provider: str, scopes: Iterable[str] = (), *, renew: bool = False) -> Any:
        """Load the sender's own credentials from the store. Keep them only on the cloned toolkit.

        Args:
            provider: the provider's name, like `google`.
            scopes: the permissions that the tool needs.
            renew: refresh the token even if it has not expired, because the provider has just rejected it.

        Returns:
            Credentials for the provider's client library: for Google a `google.oauth2.credentials.Credentials`.

        Raises:
            ConsentRequiredError: if the person has not connected this account. The turn stops, and is played again when
                they have connected it.
            ToolError: if the person connected the account without one of the permissions.
            CredentialsRefusedError: if this turn may not use any account, or has ended.
            RuntimeError: if the turn runs in another process.
        """
        self._check_process()
        return await self.credential_source.credentials(provider, scopes, renew=renew)

    async def is_connected(self, provider: str, scopes: Iterable[str] = ()) -> bool:
        """Return whether `credentials` would succeed without a sign-in."""
        self._check_process()
        return await self.credential_source.is_connected(provider, scopes)

    def credentials_sync(self, provider: str, scopes: Iterable[str] = (), *, renew: bool = False) -> Any:
        """Load credentials as `credentials` does, from a tool that runs in a thread. The call blocks the thread.

        Raises:
            RuntimeError: if it is called in a coroutine, or the turn runs in another process.
            TimeoutError: if there are no credentials by the turn's deadline.
        """
        remaining = self._remaining_in_thread(
            "credentials_sync() blocks the event loop in a coroutine: await credentials() instead"
        )
        return self.credential_source.credentials_sync(provider, scopes, renew=renew, timeout=remaining)

    def _remaining_in_thread(self, in_coroutine: str) -> float:
        """Return the seconds until the deadline, for a call that may block this thread.

        Args:
            in_coroutine: the message of the error if an event loop runs in this thread.

        Raises:
            RuntimeError: if an event loop runs in this thread, or the turn runs in another process.
        """
        self._check_process()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return (self.deadline - datetime.now(UTC)).total_seconds()
        raise RuntimeError(in_coroutine)
