"""Send answers as messages: https://www.twilio.com/docs/messaging/api/message-resource"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from twilio.rest import Client

from gateway.channels import (
    Choice,
    Delivery,
    DeliveryRefusedError,
    LiveView,
    Presenter,
    QuestionCard,
    RecipientUnreachableError,
    ReturnLink,
    SignIn,
    StoredFile,
)
from gateway.channels.live import Key, Limit, Pacer
from gateway.channels.presenter import MARK_LENGTH
from gateway.channels.sentences import SIGN_IN_TERMS, sign_in_request
from interfaces.whatsapp.content import templates
from interfaces.whatsapp.content.quick_replies import QuickReplies, are_short
from interfaces.whatsapp.errors import twilio_errors
from interfaces.whatsapp.format import LIMIT, WhatsAppRenderer
from interfaces.whatsapp.live import TypingIndicator
from interfaces.whatsapp.parse import PREFIX
from interfaces.whatsapp.status import callback
from oauth import Identity
from oauth.store.pending import confirmation
from toolkits import Conversation, Message, Template

CALL_TIMEOUT = 15.0  # seconds for one call of the REST API
CLOCK_SKEW = timedelta(minutes=1)  # the greatest difference between Twilio's clock and ours
FAILED = frozenset({"canceled", "failed", "undelivered"})
MOST_FOUND = 20  # messages that are searched for one that may have been sent
MOST_MB = 16  # of a file
MOST_IMAGE_MB = 5
# 80 messages a second of a sender: https://www.twilio.com/docs/whatsapp/best-practices-and-faqs. To one person Meta
# takes a message in six seconds, of which 45 may come at once: https://www.twilio.com/docs/api/errors/63018 and
# "pair rate limit" at https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput
LIMITS = {"sender": Limit(most=80, seconds=1.0), "person": Limit(most=45, seconds=270.0)}
LONGEST_CAPTION = 1024 - MARK_LENGTH  # characters
WITH_CAPTION = ("image/", "video/")  # the media types of files that may have one

# image/webp is only for stickers.
TAKEN_TYPES = frozenset(
    {
        "image/jpeg",
        "image/png",
        "audio/ogg",
        "audio/amr",
        "audio/3gpp",
        "audio/aac",
        "audio/mpeg",
        "video/mp4",
        "application/pdf",
        "application/msword",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "text/vcard",
    }
)


log = logging.getLogger(__name__)


class WhatsAppPresenter(Presenter):
    """Sends answers to chats of WhatsApp.

    Args:
        service: the Messaging Service that the sender belongs to, if any.
        late_template: see `Presenter.late_template`.

    Attributes:
        client: the client of the REST API, while the channel runs.
        base_url: the public address of the gateway, without a slash at the end.
        status_url: the public address of the status callbacks.
    """

    # https://www.twilio.com/docs/whatsapp/key-concepts#the-24-hour-window
    reply_window = timedelta(hours=24)
    reports_delivery = True

    def __init__(self, *, service: str | None = None, late_template: Template | None = None) -> None:
        self.late_template = late_template
        # Twilio takes the sender of the service that is given in `from_`.
        self._service = {"messaging_service_sid": service} if service is not None else {}
        self._renderer = WhatsAppRenderer()
        self._quick_replies = QuickReplies()
        self._pacer = Pacer(LIMITS)
        self.client: Client | None = None
        self.base_url = ""
        self.status_url = ""

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    def reserve(self, conversation: Conversation, recipient: Identity | None = None, *, is_edit: bool = False) -> float:
        tenant = conversation.tenant
        return self._pacer.reserve(_sender(tenant), ("person", tenant, conversation.id))

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        await self._create(conversation, key, body=text)

    async def send_question(self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str) -> None:
        """Send a question with up to three buttons, or with choices to type where WhatsApp shows no such buttons."""
        assert self.client is not None, "the channel is not started"
        content = await self._quick_replies.content(self.client, card)
        if content is not None:
            try:
                return await self._create(conversation, key, **content)
            except RecipientUnreachableError:
                raise
            except DeliveryRefusedError as refusal:
                log.warning("Twilio refuses the buttons of a question, which is sent as text: %s", refusal)
                self._quick_replies.forget(content)
        if are_short(card.choices):
            await super().send_question(conversation, card, reply_to, key=key)
        else:
            await self._send_numbered(conversation, card, key)
        return None

    async def _send_numbered(self, conversation: Conversation, card: QuestionCard, key: str) -> None:
        """Send a question with a number before each choice, in two messages if it is too long for one."""
        whole = _in_numbers(card)
        fits = self._renderer.size(whole) <= LIMIT + MARK_LENGTH
        if not fits:
            await self._create(conversation, key, more=True, body=card.text)
        await self._create(conversation, key, body=whole if fits else _numbered(card.choices))

    def check_file(self, file: StoredFile) -> None:
        """Check type and size: https://www.twilio.com/docs/whatsapp/guidance-whatsapp-media-messages"""
        if file.media_type not in TAKEN_TYPES:
            raise DeliveryRefusedError(
                "WhatsApp takes pictures (JPEG, PNG), sound (OGG, AMR, 3GP, AAC, MP3), video (MP4), PDF, Word, "
                "PowerPoint and Excel files, and contacts (VCF)."
            )
        most = MOST_IMAGE_MB if file.media_type.startswith("image/") else MOST_MB
        if file.size > most * 2**20:
            raise DeliveryRefusedError(
                f"WhatsApp takes pictures of up to {MOST_IMAGE_MB} MB and other files of up to {MOST_MB} MB."
            )

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return LONGEST_CAPTION if files[0].media_type.startswith(WITH_CAPTION) else 0

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> None:
        """Send a file, which Twilio fetches from its address at the gateway."""
        (file,) = files
        content: dict[str, Any] = {"body": caption} if caption else {}
        await self._create(conversation, key, media_url=[self.base_url + file.path], **content)

    def check_template(self, template: Template) -> None:
        templates.check(template)

    async def send_template(self, conversation: Conversation, template: Template, *, key: str) -> None:
        await self._create(conversation, key, **templates.content_of(template))

    def live_view(self, message: Message) -> LiveView | None:
        if self.client is None:
            return None
        return TypingIndicator(self.client, message.id, self._pacer, _sender(message.conversation.tenant))

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Look for the text among the last messages to the person. One that Twilio could not deliver does not count.

        https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
        """
        conversation, since = delivery.conversation, delivery.since - CLOCK_SKEW
        async with self._client(conversation.tenant) as client:
            found = await client.messages.list_async(
                from_=PREFIX + conversation.tenant, to=PREFIX + conversation.id, limit=MOST_FOUND
            )
        texts, media = self._sent_as(delivery), str(len(delivery.files))
        was_sent = any(
            (message.body or "").strip() in texts and str(message.num_media or 0) == media
            for message in found
            if message.status not in FAILED and (message.date_created is None or message.date_created >= since)
        )
        if delivery.template is not None:  # its text is not known here
            return None if any(message.status not in FAILED for message in found) else False
        return None if was_sent and not delivery.text else was_sent  # a file without a caption may be another one

    def _sent_as(self, delivery: Delivery) -> list[str]:
        """Return the texts that Twilio may have for a delivery: a question is sent with or without its choices."""
        texts = [delivery.text, self.mark_repeated(delivery.text)]
        cards = [replace(delivery.card, text=text) for text in texts] if delivery.card is not None else []
        forms = (form for card in cards for form in (self.in_words(card), _in_numbers(card)))
        return [text.strip() for text in (*texts, *forms)]

    async def send_sign_in(self, sign_in: SignIn) -> None:
        text = f"{sign_in_request(sign_in.label)}:\n{await sign_in.link()}\n{SIGN_IN_TERMS}"
        await self.send_text(sign_in.conversation, text, sign_in.reply_to, key=sign_in.key)

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        # https://faq.whatsapp.com/5913398998672934, "Create your own link with a pre-filled message"
        address = f"https://wa.me/{identity.tenant.removeprefix('+')}"
        if code is None:
            return ReturnLink(address, "WhatsApp")
        then = "Send the message that is written there."
        return ReturnLink(f"{address}?text={quote(confirmation(code))}", "WhatsApp", then, brings_code=True)

    async def _create(self, conversation: Conversation, key: str, *, more: bool = False, **content: Any) -> None:
        """Create a message, whose status callbacks name the key of the delivery."""
        status_callback = callback(self.status_url, key, more=more)
        async with self._client(conversation.tenant) as client:
            created = await client.messages.create_async(
                from_=PREFIX + conversation.tenant,
                to=PREFIX + conversation.id,
                status_callback=status_callback,
                **self._service,
                **content,
            )
            if not created.sid:  # the library accepts an empty body
                raise ValueError("no message in the answer")

    @asynccontextmanager
    async def _client(self, tenant: str) -> AsyncIterator[Client]:
        """Yield the client for one call, and translate its errors into delivery errors.

        After a rate limit, the sender pauses: it is that of the sender or of the account.
        """
        assert self.client is not None, "the channel is not started"
        with self._pacer.refusals_noted(_sender(tenant)), twilio_errors():
            async with asyncio.timeout(CALL_TIMEOUT):
                yield self.client


def _sender(tenant: str) -> Key:
    return ("sender", tenant)


def _in_numbers(card: QuestionCard) -> str:
    """Return the text of a question with its choices as a list to answer with a number."""
    return "\n\n".join(filter(None, (card.text, _numbered(card.choices))))


def _numbered(choices: Sequence[Choice]) -> str:
    """Return choices as a list to answer with a number; empty if there are none."""
    lines = [f"{number}. {choice.label}" for number, choice in enumerate(choices, 1)]
    return "\n".join((*lines, "", "Answer with a number.")) if lines else ""
