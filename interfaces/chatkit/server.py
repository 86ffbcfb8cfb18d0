"""ChatKit's protocol over the gateway's inbox and transcripts: https://openai.github.io/chatkit-python/"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from chatkit.actions import Action
from chatkit.server import ChatKitServer, NonStreamingResult
from chatkit.store import NotFoundError, Store, StoreItemType
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    Attachment,
    ErrorEvent,
    FeedbackKind,
    InferenceOptions,
    NoticeEvent,
    Page,
    StreamOptions,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
    UserMessageTextContent,
    WidgetItem,
)
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from gateway.channels import (
    EventNotAcceptedError,
    Feedback,
    Host,
    MalformedEventError,
    PressOutcome,
    Rating,
    Thread,
    TranscriptEntry,
)
from gateway.channels.refusals import MALFORMED, RefusalLog
from gateway.channels.sentences import SIGN_IN_TERMS, sign_in_button, sign_in_request
from gateway.logs import describe
from interfaces.chatkit import parse
from interfaces.chatkit.attachments import Uploads, load_uploaded, to_attachment
from interfaces.chatkit.format import escape
from interfaces.chatkit.live import LiveItems
from interfaces.chatkit.parse import Person
from interfaces.chatkit.present import TRANSCRIPT_CHANGED, decoded
from interfaces.chatkit.questions import to_press, to_widget
from interfaces.chatkit.state import RequestState

POLL_INTERVAL = 1.0  # seconds between two reads of the transcript, as a published update may be lost
LONGEST_STREAM = 600.0  # seconds
LONGEST_TITLE = 60  # characters

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"}

# The address of an image can carry data to its host, and a prompt injection can make the model write one.
NO_IMAGES: list[str] = []

NOT_ACCEPTED = "I could not take your message just now. Please send it again."
LATER = "This takes a while. You will find the answer here when it is ready."
REFUSED = "Sorry, I did not take this message."
NO_BUTTON = "Sorry, I do not know this button."
ASKED_TO_SIGN_IN = "You were asked to connect an account here."


def _is_fault(record: logging.LogRecord) -> bool:
    """Return whether a log record is about more than a refused request."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (MalformedEventError, EventNotAcceptedError, NotFoundError))


logging.getLogger("chatkit").addFilter(_is_fault)  # ChatKit logs every error, also those of refused requests


class TranscriptStore(Store[RequestState]):
    """A ChatKit store that reads the transcripts of a person's threads.

    Adding a person's message commits it to the inbox. Adding another item does nothing: what the agent says is in the
    transcript before ChatKit gets it.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def generate_thread_id(self, context: RequestState) -> str:
        context.new_thread = f"thr_{uuid4().hex}"  # ChatKit's own ids have only 32 bits and would collide
        return context.new_thread

    def generate_item_id(self, item_type: StoreItemType, thread: ThreadMetadata, context: RequestState) -> str:
        return f"{item_type}_{uuid4().hex}"

    async def save_thread(self, thread: ThreadMetadata, context: RequestState) -> None:
        identity = context.person.identity
        if thread.id == context.new_thread:
            context.new_thread = ""
            await self._host.threads.create(identity, thread.id, thread.title or "")
        else:  # nothing happens if it was deleted meanwhile
            await self._host.threads.rename(identity, thread.id, thread.title or "")

    async def load_thread(self, thread_id: str, context: RequestState) -> ThreadMetadata:
        found = await self._host.threads.load(context.person.identity, thread_id)
        if found is None:
            raise NotFoundError(f"there is no thread {thread_id!r}")
        return _metadata(found)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: RequestState
    ) -> Page[ThreadMetadata]:
        found, has_more = await self._host.threads.page(
            context.person.identity, after=after, limit=limit, newest_first=order == "desc"
        )
        return Page(
            data=[_metadata(each) for each in found], has_more=has_more, after=found[-1].id if has_more else None
        )

    async def delete_thread(self, thread_id: str, context: RequestState) -> None:
        await self._host.threads.delete(context.person.identity, thread_id)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: RequestState
    ) -> Page[ThreadItem]:
        await self.load_thread(thread_id, context)
        items = await self.items(thread_id, context)
        if order == "desc":
            items.reverse()
        began = 0 if after is None else 1 + next((at for at, item in enumerate(items) if item.id == after), len(items))
        page = items[began : began + limit]
        has_more = began + limit < len(items)
        return Page(data=page, has_more=has_more, after=page[-1].id if has_more else None)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: RequestState) -> None:
        if isinstance(item, UserMessageItem):
            await self.submit(thread_id, item.id, item, context)

    async def load_item(self, thread_id: str, item_id: str, context: RequestState) -> ThreadItem:
        await self.load_thread(thread_id, context)
        found = next((item for item in await self.items(thread_id, context) if item.id == item_id), None)
        if found is None:
            raise NotFoundError(f"there is no item {item_id!r}")
        return found

    async def save_item(self, thread_id: str, item: ThreadItem, context: RequestState) -> None:
        return  # what was said does not change

    async def delete_thread_item(self, thread_id: str, item_id: str, context: RequestState) -> None:
        return  # what was said stays: a retry is a new message

    async def save_attachment(self, attachment: Attachment, context: RequestState) -> None:
        return  # its file is stored already

    async def load_attachment(self, attachment_id: str, context: RequestState) -> Attachment:
        return to_attachment(await load_uploaded(self._host.stored_files, attachment_id, context), context)

    async def delete_attachment(self, attachment_id: str, context: RequestState) -> None:
        return  # its file is removed already

    async def submit(self, thread_id: str, message_id: str, item: UserMessageItem, context: RequestState) -> None:
        """Commit a message to the inbox, after subscribing to the updates of its thread. Name a new thread after it.

        Raises:
            EventNotAcceptedError: if it could not be committed.
            NotFoundError: if one of its files is gone.
        """
        text = _text(item)
        files = [await load_uploaded(self._host.stored_files, each.id, context) for each in item.attachments]
        thread = await self.load_thread(thread_id, context)
        await self.follow(thread_id, context)
        event = parse.to_event(context.person, thread_id, message_id, text, files)
        context.is_refused = not await self._host.accept(event)
        if thread.title is None and not context.is_refused:
            title = text or ", ".join(file.name for file in files)
            await self._host.threads.rename(context.person.identity, thread_id, _shortened(title))

    async def follow(self, thread_id: str, context: RequestState) -> None:
        """Subscribe to the updates of a thread, and note which of its entries the page has."""
        conversation = parse.conversation_of(context.person, thread_id)
        context.known = {entry.id for entry in await self._host.transcript(conversation)}
        context.updates = context.stack.enter_context(await self._host.subscribe(conversation))

    async def items(self, thread_id: str, context: RequestState) -> list[ThreadItem]:
        """Return the items of a thread, oldest first."""
        entries = await self._host.transcript(parse.conversation_of(context.person, thread_id))
        return [await self.item(entry, thread_id, context, is_last=entry is entries[-1]) for entry in entries]

    async def item(self, entry: TranscriptEntry, thread_id: str, context: RequestState, *, is_last: bool) -> ThreadItem:
        """Return an entry of the transcript as an item.

        A sign-in request gets a new link each time it is read, as long as it is the last entry.
        """
        if entry.payload is not None:
            message, files = parse.to_message(entry.payload, lambda: self._host), self._host.stored_files
            uploaded = [await files.load_own(each, context.person.identity) for each in parse.file_ids(entry.payload)]
            return UserMessageItem(
                id=message.id,
                thread_id=thread_id,
                created_at=entry.at,
                content=[UserMessageTextContent(text=message.text)],
                attachments=[to_attachment(file, context) for file in uploaded if file is not None],
                inference_options=InferenceOptions(),
            )
        if entry.question is not None and (entry.question.choices or entry.question.decided):
            return to_widget(entry, thread_id)
        text = ASKED_TO_SIGN_IN if entry.provider is not None else entry.text or ""
        links = [f"[{escape(file.name)}]({context.base_url}{file.path})" for file in entry.files]
        text = "\n\n".join(filter(None, [text, *links]))
        if entry.provider is not None and is_last:
            person, name = context.person, self._host.provider_label(entry.provider)
            link = await self._host.sign_in_link(person.identity, person.name or person.user_id, entry.provider)
            text = f"{sign_in_request(name)}: [{sign_in_button(name)}]({link}). {SIGN_IN_TERMS}"
        content = [AssistantMessageContent(text=text)]
        return AssistantMessageItem(id=entry.id, thread_id=thread_id, created_at=entry.at, content=content)


class GatewayChatKitServer(ChatKitServer[RequestState]):
    """Answers ChatKit's requests, each for the person whom the host application has authenticated."""

    store: TranscriptStore

    def __init__(self, host: Host, address: str, refusals: RefusalLog) -> None:
        super().__init__(TranscriptStore(host), Uploads(host.stored_files, address))
        self._host = host
        self._refusals = refusals

    def get_stream_options(self, thread: ThreadMetadata, context: RequestState) -> StreamOptions:
        return StreamOptions(allow_cancel=False)  # an accepted message is always answered

    async def handle_stream_cancelled(self, thread: ThreadMetadata, pending_items: Any, context: RequestState) -> None:
        return  # a person who left finds the answer in the thread later

    async def answer(self, body: bytes, person: Person, base_url: str) -> Response:
        """Answer one request.

        Args:
            base_url: see `RequestState`.

        Raises:
            HTTPException: 400 if it is malformed, 404 if the person has no such thread, item or file.
            EventNotAcceptedError: if a message could not be committed.
        """
        state = RequestState(person, base_url)
        try:
            result = await self.process(body, state)
            if isinstance(result, NonStreamingResult):
                return Response(result.json, media_type="application/json", headers=HEADERS)
            events = result.json_events
            first = await anext(events)  # raises the error of a refused request before the response begins
        except BaseException as error:
            state.stack.close()
            if isinstance(error, (NotFoundError, StopAsyncIteration)):
                raise HTTPException(404, str(error)) from None
            if isinstance(error, ValueError):
                self._refusals.add(400, MALFORMED, describe(error))
                raise HTTPException(400, str(error)) from None
            raise
        return StreamingResponse(_stream(first, events, state), media_type="text/event-stream", headers=HEADERS)

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: RequestState
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Yield the events that follow a message.

        They may bring several answers: a code that confirms a sign-in also resumes the parked message.
        """
        if context.updates is None and input_user_message is not None:  # a retry
            message_id = self.store.generate_item_id("message", thread, context)
            await self.store.submit(thread.id, message_id, input_user_message, context)
        if context.is_refused:
            told = await self._new_answers(thread.id, context)
            for item in told:
                yield ThreadItemDoneEvent(item=item)
            if not told:  # they were told why before
                yield NoticeEvent(level="warning", message=REFUSED)
            return
        # ChatKit tells the page of changes to a new thread from here on.
        thread.allowed_image_domains = NO_IMAGES
        if thread.title is None and input_user_message is not None:
            names = ", ".join(each.name for each in input_user_message.attachments)
            thread.title = _shortened(_text(input_user_message) or names)
        async for event in self._follow(thread, context):
            yield event

    async def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: RequestState
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Handle the press of a question's button, and yield the events that follow it."""
        if sender is None or (press := to_press(action, context.person)) is None:
            yield ErrorEvent(message=NO_BUTTON, allow_retry=False)
            return
        await self.store.follow(thread.id, context)
        result = await self._host.press(press)
        yield ThreadItemReplacedEvent(item=await self.store.load_item(thread.id, sender.id, context))
        if result.outcome is not PressOutcome.TAKEN:
            yield NoticeEvent(level="info", message=result.text)
            return
        async for event in self._follow(thread, context):
            yield event

    async def add_feedback(
        self, thread_id: str, item_ids: list[str], feedback: FeedbackKind, context: RequestState
    ) -> None:
        """Record a person's rating of an answer: https://openai.github.io/chatkit-python/guides/handle-feedback

        Args:
            item_ids: the ids of the answer and of the items shown with it, like its workflows.

        Raises:
            NotFoundError: if none of them is an answer of an agent.
        """
        await self.store.load_thread(thread_id, context)
        conversation = parse.conversation_of(context.person, thread_id)
        entries = await self._host.transcript(conversation)
        rated = [entry.rated for entry in entries if entry.rated is not None and entry.id in item_ids]
        if not rated:
            raise NotFoundError("none of these is an answer that can be rated")
        rating = Rating.UP if feedback == "positive" else Rating.DOWN
        for reference in rated:
            await self._host.rate(Feedback(context.person.identity, conversation, rating, reference=reference))

    async def _follow(self, thread: ThreadMetadata, context: RequestState) -> AsyncIterator[ThreadStreamEvent]:
        """Yield the events of a thread until no message in it is waiting for an answer."""
        live, until = LiveItems(thread.id), time.monotonic() + LONGEST_STREAM
        is_busy = True
        while is_busy and time.monotonic() < until:
            update = await _next(context.updates)
            if update is None:
                return  # the gateway is stopping
            if (happened := decoded(update)) is not None:
                for event in live.events(happened):
                    yield event
                continue
            is_busy = await self._host.is_busy(parse.conversation_of(context.person, thread.id))
            for item in await self._new_answers(thread.id, context):
                for event in live.done(item):
                    yield event
        for event in live.close():
            yield event
        if is_busy:
            yield NoticeEvent(level="info", message=LATER)

    async def _new_answers(self, thread_id: str, context: RequestState) -> Sequence[AssistantMessageItem | WidgetItem]:
        entries = await self._host.transcript(parse.conversation_of(context.person, thread_id))
        new = [entry for entry in entries if entry.id not in context.known]
        context.known.update(entry.id for entry in new)
        items = [
            await self.store.item(entry, thread_id, context, is_last=True) for entry in new if entry.payload is None
        ]
        return [item for item in items if isinstance(item, (AssistantMessageItem, WidgetItem))]


async def _stream(first: bytes, rest: AsyncIterator[bytes], state: RequestState) -> AsyncIterator[bytes]:
    with state.stack:
        yield first
        try:
            async for event in rest:
                yield event
        except (EventNotAcceptedError, NotFoundError) as error:
            refused = ErrorEvent(
                message=NOT_ACCEPTED if isinstance(error, EventNotAcceptedError) else str(error), allow_retry=True
            )
            yield b"data: " + refused.model_dump_json(exclude_none=True).encode() + b"\n\n"


async def _next(updates: asyncio.Queue[str | None] | None) -> str | None:
    """Return the next update, or TRANSCRIPT_CHANGED if none comes within POLL_INTERVAL."""
    assert updates is not None
    try:
        async with asyncio.timeout(POLL_INTERVAL):
            return await updates.get()
    except TimeoutError:
        return TRANSCRIPT_CHANGED


def _metadata(thread: Thread) -> ThreadMetadata:
    return ThreadMetadata(
        id=thread.id, title=thread.title or None, created_at=thread.created_at, allowed_image_domains=NO_IMAGES
    )


def _text(item: UserMessageItem) -> str:
    """Return the text of a message, below the text that it quotes."""
    text = "".join(part.text for part in item.content)
    return f"> {item.quoted_text}\n\n{text}" if item.quoted_text else text


def _shortened(text: str) -> str:
    """Return a text as the title of a thread, shortened if it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
