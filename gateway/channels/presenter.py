"""The base class with which a channel shows turns and delivers answers."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from gateway.channels.errors import DeliveryRefusedError, PreviewGoneError
from gateway.channels.live import LiveView
from gateway.channels.question import QuestionCard, in_words
from gateway.channels.sentences import SENT_AGAIN
from gateway.runs.events import TurnEvent
from gateway.storage.files import StoredFile
from oauth import Identity
from oauth.consent.hooks import ReturnLink
from toolkits import Conversation, Message, Template

HELD_ANSWER = "answer"
"""The argument of `/start` with which people get the answer that is held for them."""

MARK_LENGTH = 100  # characters that `Presenter.parts` leaves free in each part, for a mark like SENT_AGAIN


@dataclass(frozen=True, slots=True)
class SignIn:
    """A request to a person to connect an account. Nobody else may see the link.

    Args:
        identity: the person.
        conversation: the conversation of the message that needs the account.
        reply_to: the id of this message; empty if there is none.
        label: the provider's name, as people know it.
        link: makes the link when it is awaited. The link works once, for ten minutes.
        ticket: a word that everybody may see. `identity` gets a link by sending `/start TICKET`.
        key: a unique key of this request, as for `Presenter.send_text`.
    """

    identity: Identity
    conversation: Conversation
    reply_to: str
    label: str
    link: Callable[[], Awaitable[str]]
    ticket: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery of a text, files or a question whose outcome is not known.

    Args:
        key: the key that `send_text`, `send_files`, `send_question` or their private forms got.
        conversation: the conversation that the method got.
        text: the text, the caption of the files, or the text of the card.
        identity: the person, if the delivery was private.
        since: when the delivery was created: it was not sent before. Aware, in UTC.
        files: the files, if any.
        card: the question, if the delivery is a question.
        template: the template, if the delivery is one. The text is empty then.
    """

    key: str
    conversation: Conversation
    text: str
    identity: Identity | None
    since: datetime
    files: Sequence[StoredFile] = ()
    card: QuestionCard | None = None
    template: Template | None = None


class Presenter(ABC):
    """Shows turns in a channel: it gets turn events and answers, and calls the platform.

    The gateway stores outgoing messages in the outbox. It calls `send_text`, `send_files`, `send_template`,
    `send_question`, their private forms, `close_question`, `send_private_note` and `send_sign_in` in order, one call at
    a time in a conversation. Each of these methods shows people one message and returns when the platform has confirmed
    it. It must not retry by itself, because a retry without the outbox may send a message twice. It reports a failure
    by one of these errors:

    - `DeliveryRefusedError`: the platform refuses the message permanently. The message becomes a dead letter, and a
      sentence in the conversation says that something could not be delivered. A text of `send_private_text` is held
      instead, until the person writes directly.
    - `RecipientUnreachableError`: nothing can be delivered to this conversation any more. The message becomes a dead
      letter without that sentence.
    - `RetryLaterError`: the platform did not take the message and asks for a pause. During the pause, nothing is sent
      to the conversation, or to the whole tenant if the error says so. The attempt does not count as a try.
    - `DeliveryAmbiguousError`: the platform may have taken the message. The outbox waits, calls `was_sent` and follows
      its result. A `TimeoutError` is treated in the same way.

    Any other exception, for example a `ConnectionError`, means that nothing was sent. The outbox retries with
    exponential backoff. After UNDERSTUDY_DELIVERY_TRIES tries it makes the message a dead letter and says so in the
    conversation; after an `AssertionError`, which is a mistake in the channel, it does so at once. If the platform may
    have the message, the error has to be a `DeliveryAmbiguousError`: `gateway.channels.http_errors` takes care of that
    for aiohttp and httpx.
    """

    reply_window: ClassVar[timedelta | None] = None
    """The time after a person's last message in which the platform accepts messages to them; `None` for no limit."""

    reports_delivery: ClassVar[bool] = False
    """True if the platform reports what becomes of the messages that it accepted: see `Host.report_delivery`.

    Then the `key` of the methods that send is a new one for each try, and the next message of a conversation waits
    until the one before it is reported as sent, for at most `Timings.sent_report`.
    """

    late_template: Template | None = None
    """The template that a person gets, once, if the `reply_window` has passed before a text could be sent.

    The text is sent when the person writes. Without such a template it becomes a dead letter.
    """

    streams: ClassVar[bool] = False
    """True if `show` uses `TextDelta` events. Then the engine streams the model's answer."""

    async def show(self, message: Message, event: TurnEvent) -> None:
        """Show an event of a running turn. This is only a preview: `send_text` gets the answer, if there is one.

        The turn waits for this method, and fails if it raises. Calls to a platform therefore belong in a `LiveView`.
        """
        return

    def observe(self, message: Message, event: TurnEvent) -> None:
        """Note an event of a running turn for the developers of the agent; by default, do nothing.

        It also receives what people are not shown: the calls of a flow that are silent, and the requests to models.
        """
        return

    def live_view(self, message: Message) -> LiveView | None:
        """Return a view that shows the turn of a message while it runs; `None` to show nothing."""
        return None

    async def vouched_email(self, identity: Identity) -> str | None:
        """Return the person's e-mail address, if the platform vouches for it and the operator trusts the platform.

        A person who signs in with the account of this address needs no code.
        """
        return None

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        """Return a link from the browser back to the conversation with a person; `None` if the channel has none.

        The page that follows a sign-in shows the link as a button. The button has to carry the code: it comes back in a
        signed message of the person who pressed the button, which proves that the browser and the chat belong to the
        same person. Without this proof, a forwarded sign-in link could connect another person's account.

        Args:
            code: the code that the person has to send; `None` if there is nothing to confirm.
        """
        return None

    @abstractmethod
    def parts(self, markdown: str) -> list[str]:
        """Render an answer for the platform, split into parts that fit the platform's limit.

        Each part leaves `MARK_LENGTH` characters of the limit free, counted as the platform counts, for the mark of
        `mark_repeated` and for a heading that the channel may add. Markdown that shows nothing has no parts.

        Elements that the platform cannot show become plain text. For long texts, this method runs in a thread. If it
        raises, people read that the answer could not be shown.
        """

    def reserve(self, conversation: Conversation, recipient: Identity | None = None, *, is_edit: bool = False) -> float:
        """Reserve the platform's next call of a delivery within its rate limits; return the seconds until then.

        The gateway calls it before each delivery, in any thread, and waits before it makes the call. Meanwhile only
        this conversation waits. `gateway.channels.live.Pacer` keeps track of the calls. Default: there is no limit.

        Args:
            conversation: the conversation that the sending method gets.
            recipient: the person, if only this person gets the message.
            is_edit: whether the call replaces a message, as `complete_preview` and `close_question` do.

        Raises:
            RetryLaterError: if the wait is too long. Then the outbox tries the delivery again after it.
        """
        return 0.0

    @abstractmethod
    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        """Send one part of an answer, in one platform call.

        Args:
            text: a part that `parts` returned.
            reply_to: the id of the message that the text answers; empty if there is none.
            key: a unique key of this part. If the platform stores it, `was_sent` can look for it.

        Returns:
            The platform's id of the message, which identifies it when people rate it (see `Host.rate`) or reply to it
            in a thread (see `thread_root`); `None` if the platform gives it no id.

        Raises:
            DeliveryError: see the class.
        """

    async def complete_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        """Replace a preview by one part of the answer: see `MessageView`.

        The outbox may call it again with the same text, if the platform's response was lost.

        Args:
            platform_id: the id that `MessageView.post` returned.
            text: a part that `parts` returned.
            key: as for `send_text`.

        Returns:
            The platform's id of the message, as `send_text` returns it.

        Raises:
            PreviewGoneError: if the preview cannot be replaced. Then the text is sent as a new message.
            DeliveryError: see the class.
        """
        raise PreviewGoneError

    async def send_rated_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        """Send the last part of an agent's answer, with buttons to rate the answer, if the channel has buttons for it.

        See `send_text`. The channel hands a press to `Host.rate`.
        """
        return await self.send_text(conversation, text, reply_to, key=key)

    async def complete_rated_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        """Replace a preview by the last part of an agent's answer: see `complete_preview` and `send_rated_text`."""
        return await self.complete_preview(conversation, platform_id, text, key=key)

    async def remove_preview(self, conversation: Conversation, platform_id: str | None, since: datetime) -> None:
        """Remove a preview that does not become a part of the answer. Do nothing if it no longer exists.

        Args:
            platform_id: as for `complete_preview`; `None` if the process died before the id was known. Then look for
                the message, if the platform allows that.
            since: the time just before the preview was posted; aware, in UTC.

        Raises:
            DeliveryError: see the class.
        """
        return

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Return whether the platform has the message of an ambiguous delivery; `None` if that cannot be looked up.

        A message with the mark of `mark_repeated` counts, too.

        Raises:
            DeliveryRefusedError: if the platform does not allow the look-up. It counts as `None`.
            RetryLaterError: if the look-up has to wait. After any other exception, it is retried.
        """
        return None

    def mark_repeated(self, text: str) -> str:
        """Return a rendered part of an answer with a mark that says that people may have read it before."""
        return f"{SENT_AGAIN}\n{text}"

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str | None:
        """Send one part of an answer only to the person who asked in a shared conversation, in one platform call.

        A channel with shared conversations implements this method, `send_private_note` and `is_direct`.

        Args:
            identity: the person.
            conversation: the shared conversation.
            first: whether this is the first part, which may have a heading that names the conversation.
            key: as for `send_text`.

        Returns:
            As `send_text`.

        Raises:
            DeliveryRefusedError: if the person cannot be reached. The text is held until the person writes to the bot.
        """
        raise DeliveryRefusedError("this channel cannot send to only one person")

    async def send_private_note(
        self,
        identity: Identity,
        conversation: Conversation,
        reply_to: str,
        *,
        reached: bool,
        card: QuestionCard | None = None,
    ) -> str | None:
        """Say in a shared conversation that an answer went only to one person, or is held until they write directly.

        Args:
            identity: the person.
            reached: whether the answer could be sent to this person. If not, it is sent when they next write to the bot
                directly, even if it is only `/start answer` (see `HELD_ANSWER`).
            card: a card whose button lets this person post the answer in the shared conversation. The channel shows the
                button below its own note. A channel without buttons ignores the card.

        Returns:
            The platform's id of the message, which `close_question` gets.

        Raises:
            DeliveryError: see the class.
        """
        raise DeliveryRefusedError("this channel cannot send to only one person")

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        """Send a question with its choices as buttons, in one platform call. Default: the choices are words to type.

        A button carries the id of the card and the index of its choice, as `q:{id}:{index}` if the platform has one
        string for both. The channel hands a press to `Host.press`, and acknowledges it after that.

        Args:
            reply_to: as for `send_text`.
            key: as for `send_text`.

        Returns:
            The platform's id of the message, which `close_question` gets.

        Raises:
            DeliveryError: see the class.
        """
        return await self.send_text(conversation, self.in_words(card), reply_to, key=key)

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        """Send a question to one person only: see `send_question` and `send_private_text`."""
        return await self.send_private_text(identity, conversation, self.in_words(card), first=first, key=key)

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        """Replace a sent question by the decision, without buttons. Default: the message stays as it is.

        Args:
            conversation: the conversation that the sending method got.
            identity: the person in whose direct conversation the message is; `None` if it is in `conversation`.
            platform_id: the id that the sending method returned.
            text: the question and the decision, with the person and the time, as one of the `parts`.

        Raises:
            DeliveryError: see the class.
        """
        return

    def in_words(self, card: QuestionCard) -> str:
        """Return the rendered text of a question, with its choices as words to type."""
        return "\n\n".join((card.text, *self.parts(in_words(card.choices))))

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        """Return whether `send_private_text` sends a person's texts to this conversation.

        Only there does a typed answer to a private question count.
        """
        return False

    def thread_root(self, conversation: Conversation) -> str | None:
        """Return the platform's id of the message that began a thread; `None` if the conversation is not a thread.

        If that message is a question to the person, a typed answer in its thread counts.
        """
        return None

    def check_file(self, file: StoredFile) -> None:
        """Check that the platform takes a file, as far as that is known before it is sent.

        A channel that sends files implements this method and `send_files`. If it has shared conversations, it also
        implements `send_private_files`.

        Raises:
            DeliveryRefusedError: if the platform does not. The message is a sentence for the model and the person.
        """
        raise DeliveryRefusedError("Files cannot be sent here.")

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        """Return files in groups that the platform takes as one message each. Default: each file is a group."""
        return [[file] for file in files]

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        """Return how many characters of rendered text the platform takes with files; 0 if it takes no text.

        As in `parts`, `MARK_LENGTH` characters of the platform's limit stay free.
        """
        return 0

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> str | None:
        """Send files as one message.

        Args:
            files: a group that `grouped` returned.
            caption: a text that goes with the files, as one of the `parts` of a text; it may be empty.
            reply_to: as for `send_text`.
            key: as for `send_text`.

        Returns:
            As `send_text`.

        Raises:
            DeliveryError: see the class.
        """
        raise DeliveryRefusedError("Files cannot be sent here.")

    async def send_private_files(
        self,
        identity: Identity,
        conversation: Conversation,
        files: Sequence[StoredFile],
        caption: str,
        *,
        first: bool,
        key: str,
    ) -> str | None:
        """Send files only to the person who asked in a shared conversation: see `send_files`, `send_private_text`."""
        raise DeliveryRefusedError("Files cannot be sent to only one person here.")

    def check_template(self, template: Template) -> None:
        """Check that the platform takes a template, as far as that is known before it is sent.

        Raises:
            DeliveryRefusedError: with a sentence that says why not.
        """
        raise DeliveryRefusedError("This channel has no message templates: send a text.")

    async def send_template(self, conversation: Conversation, template: Template, *, key: str) -> str | None:
        """Send a message that is made of a template, in one platform call. The `reply_window` does not apply to it.

        Args:
            key: as for `send_text`.

        Returns:
            As `send_text`.

        Raises:
            DeliveryError: see the class.
        """
        raise DeliveryRefusedError("This channel has no message templates.")

    @abstractmethod
    async def send_sign_in(self, sign_in: SignIn) -> None:
        """Send a sign-in link to its person only, in a place where the person can reply with a code.

        For a shared conversation, a channel sends the link directly to the person, or shows how to begin a direct
        conversation (`SignIn.ticket`).

        Raises:
            DeliveryError: see the class.
        """


class TranscriptPresenter(Presenter):
    """Shows turns in a channel without a platform, whose pages read answers and files from the transcript."""

    def check_file(self, file: StoredFile) -> None:
        """Accept every file, because pages download files from the gateway."""

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        return [files]

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return sys.maxsize  # text and files are one entry of the transcript

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        """Notify the pages. The transcript has the question with its choices."""
        await self.send_text(conversation, card.text, reply_to, key=key)
        return key  # `close_question` gets it, and notifies the pages

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        return await self.send_question(conversation, card, "", key=key)

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        await self.send_text(conversation, text, "", key=platform_id)

    async def was_sent(self, delivery: Delivery) -> bool | None:
        return True  # the transcript has it, even if no page was notified
