"""How a channel shows turns and delivers answers: what it implements, and what the outbox does with its errors."""

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
from toolkits import Conversation, Message

HELD_ANSWER = "answer"
"""The argument of `/start` that brings a person the answer that is held for them."""

MARK_LENGTH = 100  # characters that `Presenter.parts` leaves free in each part, for a mark like SENT_AGAIN


@dataclass(frozen=True, slots=True)
class SignIn:
    """A request to a person to connect an account. Nobody else may see the link.

    Args:
        conversation: where they asked for what needs the account.
        reply_to: the id of their message, empty if there is none.
        label: what people call the provider.
        link: makes the link, when it is awaited. It works once, for ten minutes.
        ticket: a word that everybody may see. `identity` gets a link by sending `/start TICKET`.
    """

    identity: Identity
    conversation: Conversation
    reply_to: str
    label: str
    link: Callable[[], Awaitable[str]]
    ticket: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A text, or files with a text, that the platform was asked to deliver, and may have delivered.

    Args:
        key: the key that `send_text`, `send_files` or the private one of them got.
        identity: the only person that it was for, if it was for one person alone.
        since: when it was made; it was not sent before. Aware, in UTC.
        files: the files; empty if it is a text alone.
        card: the question, if it is one; `text` is that of the card.
    """

    key: str
    conversation: Conversation
    text: str
    identity: Identity | None
    since: datetime
    files: Sequence[StoredFile] = ()
    card: QuestionCard | None = None


class Presenter(ABC):
    """Shows turns in a channel: turn events and answers come in, platform calls go out.

    The gateway stores what is to be sent in the outbox, and calls `send_text`, `send_files`, `send_question`, their
    private forms, `close_question`, `send_private_note` and `send_sign_in` in order, one call at a time in a
    conversation. Each shows people one message and returns once the platform has confirmed it. It retries nothing
    itself: a retry without the outbox may send a message twice. It reports a failure by one of these errors:

    - `DeliveryRefusedError`: the platform refuses the message and always will. It becomes a dead letter, and a sentence
      in the conversation says that something could not be delivered. What `send_private_text` sends is held instead,
      until the person writes directly.
    - `RecipientUnreachableError`: nothing can be delivered there any more. As above, without the sentence.
    - `RetryLaterError`: the platform took nothing and asks for a pause. Nothing is sent to the conversation until then,
      or to the whole tenant if the error says so, and the attempt does not count.
    - `DeliveryAmbiguousError`: the platform may have taken the message. The outbox waits, asks `was_sent` and goes by
      what it says. `TimeoutError` is treated in the same way.

    Any other exception says that nothing was sent, a `ConnectionError` for example. The outbox tries again with
    growing pauses. After UNDERSTUDY_DELIVERY_TRIES tries it makes the message a dead letter and says so in the
    conversation; after an `AssertionError`, a mistake in the channel, it does so at once. An error after which the
    platform may have the message has to be `DeliveryAmbiguousError`: `gateway.channels.http_errors` sees to that for
    aiohttp and httpx.
    """

    reply_window: ClassVar[timedelta | None] = None
    """How long after a person's last message the platform takes messages to them; `None` for no limit."""

    streams: ClassVar[bool] = False
    """Whether `show` uses `TextDelta` events, for which the engine streams the model's answer."""

    async def show(self, message: Message, event: TurnEvent) -> None:
        """Show an event of a turn that runs. It is a preview: the answer follows by `send_text`, or none does.

        The turn waits for it and fails if it raises, so that calls of a platform belong into a `LiveView`.
        """
        return

    def live_view(self, message: Message) -> LiveView | None:
        """Return the view that shows the turn of a message while it runs; `None` for none."""
        return None

    async def vouched_email(self, identity: Identity) -> str | None:
        """Return the e-mail address that the platform vouches for as this person's, if the operator trusts it in that.

        A person who signs in with the account of that address needs no code.
        """
        return None

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        """Return the way from the browser back to the conversation with a person; `None` if the channel knows none.

        The page that follows a sign-in shows it as a button. A forwarded sign-in link must connect nobody, so the code
        has to come back in a message of whoever pressed the button, as the platform signs it. A button in the chat, or
        anything else that does not pass the code on from the browser, proves nothing.

        Args:
            code: what the person has to send; `None` if nothing is left to confirm.
        """
        return None

    @abstractmethod
    def parts(self, markdown: str) -> list[str]:
        """Return an answer as the platform takes it, split where its limit asks for it.

        Each part leaves `MARK_LENGTH` characters of the limit free, counted as the platform counts, for the mark of
        `mark_repeated` and for a heading of the channel's own. Markdown of which nothing can be seen has no parts.

        What the platform cannot show is rendered as plain text. For long texts it is called in a thread. If it
        raises, people read that the answer could not be shown.
        """

    @abstractmethod
    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        """Send one part of an answer, in one platform call.

        Args:
            text: as `parts` returned it.
            reply_to: the id of the message that it answers, empty if it answers none.
            key: identifies this part among all others. A platform that keeps it can be asked for it in `was_sent`.

        Returns:
            The platform's id of the message, by which people rate it (see `Host.rate`) and reply to it in a
            conversation of its own (see `thread_root`); `None` if the platform gives it none.

        Raises:
            DeliveryError: see the class.
        """

    async def complete_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        """Replace a message that showed the running turn by one part of its answer: see `MessageView`.

        It may be called again with the same text, as the outbox does when the platform's answer was lost.

        Args:
            platform_id: as `MessageView.post` returned it.
            text: as `parts` returned it.
            key: as for `send_text`.

        Returns:
            The platform's id of the message, as `send_text` returns it.

        Raises:
            PreviewGoneError: if that message cannot be replaced. The text is sent as a new one.
            DeliveryError: see the class.
        """
        raise PreviewGoneError

    async def send_rated_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        """Send the last part of an agent's answer, with buttons to rate it, if the channel has such buttons.

        See `send_text`, and `Host.rate` for a press.
        """
        return await self.send_text(conversation, text, reply_to, key=key)

    async def complete_rated_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        """Replace a preview by the last part of an agent's answer: see `complete_preview` and `send_rated_text`."""
        return await self.complete_preview(conversation, platform_id, text, key=key)

    async def remove_preview(self, conversation: Conversation, platform_id: str | None, since: datetime) -> None:
        """Remove a message that showed the running turn, and is no part of its answer. One that is gone is removed.

        Args:
            platform_id: as for `complete_preview`; `None` if the process died before it was known. Then the message is
                looked for where the platform allows that.
            since: when it was about to be posted; aware, in UTC.

        Raises:
            DeliveryError: see the class.
        """
        return

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Return whether the platform has a text of which that is not known; `None` if it cannot be looked up.

        A text that was sent by `mark_repeated` counts, too.

        Raises:
            DeliveryRefusedError: if the platform lets nobody look it up, which counts as `None`.
            RetryLaterError: if the look-up has to wait. Anything else is tried again.
        """
        return None

    def mark_repeated(self, text: str) -> str:
        """Return a part of an answer with a mark that people may have read it before, as the platform takes it."""
        return f"{SENT_AGAIN}\n{text}"

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str | None:
        """Send one part of an answer to one person alone, who asked in a shared conversation: one platform call.

        A channel with shared conversations implements this method, `send_private_note` and `is_direct`.

        Args:
            conversation: where they asked.
            first: whether it is the first part, which may have a heading that names the conversation.
            key: as for `send_text`.

        Returns:
            As `send_text`.

        Raises:
            DeliveryRefusedError: if the person cannot be reached. The text is held until they write to the bot.
        """
        raise DeliveryRefusedError("this channel sends nothing to one person alone")

    async def send_private_note(
        self,
        identity: Identity,
        conversation: Conversation,
        reply_to: str,
        *,
        reached: bool,
        card: QuestionCard | None = None,
    ) -> str | None:
        """Say in a shared conversation that an answer went to one person alone, or waits until they write directly.

        Args:
            reached: whether the answer could be sent to them. If not, it is sent when they next write to the bot
                directly, if only `/start answer` (see `HELD_ANSWER`).
            card: has a button by which that person has the answer posted there for everybody, and the text of the note
                is the channel's own. A channel without buttons leaves it out.

        Returns:
            The platform's id of the message, by which `close_question` finds it.

        Raises:
            DeliveryError: see the class.
        """
        raise DeliveryRefusedError("this channel sends nothing to one person alone")

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        """Send a question with its choices as buttons, in one platform call. Default: the choices are words to type.

        A button carries the id of the card and the place of its choice: `q:{id}:{place}` where the platform has one
        string for it. The channel hands a press of it to `Host.press` and acknowledges it after that.

        Args:
            reply_to: as for `send_text`, like `key`.

        Returns:
            The platform's id of the message, by which `close_question` finds it.

        Raises:
            DeliveryError: see the class.
        """
        return await self.send_text(conversation, self.in_words(card), reply_to, key=key)

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        """Send a question to one person alone: see `send_question` and `send_private_text`."""
        return await self.send_private_text(identity, conversation, self.in_words(card), first=first, key=key)

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        """Replace a question that was sent by what was decided, without buttons. Default: it stays as it is.

        Args:
            conversation: as for the method that sent the question.
            identity: whose direct conversation the message is in; `None` if it is in the conversation itself.
            platform_id: what that method returned.
            text: the question, and what was decided, by whom and when, as one of the `parts`.

        Raises:
            DeliveryError: see the class.
        """
        return

    def in_words(self, card: QuestionCard) -> str:
        """Return the text of a question with its choices as words to type, as the platform takes it."""
        return "\n\n".join((card.text, *self.parts(in_words(card.choices))))

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        """Return whether a conversation is the one in which a person reads what `send_private_text` sends.

        A yes to a question that was sent privately counts only there.
        """
        return False

    def thread_root(self, conversation: Conversation) -> str | None:
        """Return the platform's id of the message that a conversation is the thread of; `None` if it is no thread.

        If that message is a question to the person, a yes in its thread counts.
        """
        return None

    def check_file(self, file: StoredFile) -> None:
        """Check that the platform takes a file, as far as that can be told beforehand.

        A channel that sends files implements this method and `send_files`, and with shared conversations
        `send_private_files`.

        Raises:
            DeliveryRefusedError: if it does not. The message is a sentence for the model and the person.
        """
        raise DeliveryRefusedError("Files cannot be sent here.")

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        """Return files in groups, each of which the platform takes as one message. Default: each file by itself."""
        return [[file] for file in files]

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        """Return how many characters of rendered text the platform takes with files; 0 if it takes none.

        As in `parts`, `MARK_LENGTH` characters of the platform's limit stay free.
        """
        return 0

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> str | None:
        """Send files as one message.

        Args:
            files: a group, as `grouped` returned it.
            caption: a text that goes with them, as one of the `parts` of a text; it may be empty.
            reply_to: as for `send_text`, like `key` and what is returned.

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
        """Send files to one person alone, who asked in a shared conversation: see `send_files`, `send_private_text`."""
        raise DeliveryRefusedError("Files cannot be sent to one person alone here.")

    @abstractmethod
    async def send_sign_in(self, sign_in: SignIn) -> None:
        """Send a sign-in link to its person alone, where they can send back a code.

        In a shared conversation a channel sends it directly, or shows a way to a direct conversation (`SignIn.ticket`).

        Raises:
            DeliveryError: see the class.
        """


class TranscriptPresenter(Presenter):
    """Shows turns in a channel without a platform, whose pages read answers and files in the transcript."""

    def check_file(self, file: StoredFile) -> None:
        """Accept every file: a page has its address."""

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        return [files]

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return sys.maxsize  # text and files are one entry of the transcript

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        """Tell the pages. Like every text, the question is in the transcript, with its choices."""
        await self.send_text(conversation, card.text, reply_to, key=key)
        return key  # so that the pages are told when it is closed

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        return await self.send_question(conversation, card, "", key=key)

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        await self.send_text(conversation, text, "", key=platform_id)

    async def was_sent(self, delivery: Delivery) -> bool | None:
        return True  # it is in the transcript, whether a page was told or not
