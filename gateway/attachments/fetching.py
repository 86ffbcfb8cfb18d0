"""Fetch the files that people send, from the hosts of their platform and from no others."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential_jitter,
)
from yarl import URL

from gateway.retries import retry_after
from toolkits.attachment import Attachment, AttachmentError

if TYPE_CHECKING:
    import aiohttp

SESSIONS = "gateway.attachments.sessions"  # imported with the first file, because aiohttp takes 9 MB

MEBIBYTE = 2**20  # bytes
CHUNK = 64 * 1024  # bytes
MOST_REDIRECTS = 5
TRIES = 3
FIRST_PAUSE = 0.5  # seconds before the second try
LONGEST_PAUSE = 10.0  # seconds that a platform may ask to wait before the next try
LAST_TRY = 30.0  # seconds after the first try
HTML = ("text/html", "application/xhtml+xml")


T = TypeVar("T")


class UnavailableError(AttachmentError):
    """A platform does not give out a file at the moment, but a retry may succeed.

    Args:
        message: a sentence for the person.
        pause: the seconds that the platform asks to wait.
    """

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a platform.

    Args:
        url: the address of the file.
        platform: the platform's name, as people know it.
        hosts: the hosts that the platform documents for its files; ".slack.com" stands for all hosts below slack.com.
        attachment: the attachment, as the platform describes it.
        origin: the address that the operator has set in place of the platform's, like SLACK_API_URL. It may be private.
        headers: credentials and other headers. They are sent only to the origin of `url`, not to other origins that
            redirects lead to.
    """

    url: str
    platform: str
    hosts: Collection[str]
    attachment: Attachment
    origin: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """The name of the file in errors, like "image 'receipt.png'"."""
        return self.attachment.title


class FileFetcher:
    """Fetches the files that people send. A file is fetched anew each time that it is read.

    Args:
        most_bytes: the largest size of a file. The bytes are counted while reading, whatever the headers say.
        first_pause: the pause before the second try, in seconds. Later pauses grow exponentially.
    """

    def __init__(self, most_bytes: int, first_pause: float = FIRST_PAUSE) -> None:
        self._most = most_bytes
        self._growing = wait_exponential_jitter(multiplier=first_pause, max=LONGEST_PAUSE, jitter=first_pause)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield the content of a file in chunks. Until the first chunk has arrived, failures are retried.

        Redirects are followed only to hosts of the platform; another origin gets no credentials. Except for the
        operator's `origin`, an address has to be public and use HTTPS.

        Raises:
            AttachmentError: saying why the file cannot be read.
        """

        async def begin() -> tuple[bytes, AsyncGenerator[bytes, None]]:
            chunks = self._chunks(file)
            return await anext(chunks, b""), chunks

        first, chunks = await self.retry(begin)
        async with aclosing(chunks):
            if first:
                yield first
            async for chunk in chunks:
                yield chunk

    async def retry(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, and retry it if it raises an `UnavailableError` that asks for no long pause."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_be_tried_again),
            stop=stop_after_attempt(TRIES) | stop_after_delay(LAST_TRY),
            wait=self._pause,
            reraise=True,
        )
        return await retrying(call)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        return max(error.pause if isinstance(error, UnavailableError) else 0.0, self._growing(state))

    async def _chunks(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        url, headers = URL(file.url), file.headers
        with _sentences(file):
            for _ in range(MOST_REDIRECTS + 1):
                session = await self._session(url, file)
                # The size of a compressed body is not known before it is unpacked.
                asked = {**headers, "Accept-Encoding": "identity"}
                async with session.get(url, headers=asked, allow_redirects=False) as answer:
                    if answer.status in (301, 302, 303, 307, 308):
                        target = url.join(URL(answer.headers.get("Location", "")))
                        headers = headers if _origin(target) == _origin(url) else {}
                        url = target
                        continue
                    self._check(answer, file)
                    size = 0
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        size += len(chunk)
                        self._check_bytes(size, file.attachment)
                        yield chunk
                    return
            raise AttachmentError(f"The {file.title} cannot be fetched: {file.platform} redirects too often.")

    def check_size(self, attachment: Attachment) -> None:
        """Check the size that the platform reports for a file, before the file is fetched.

        Raises:
            AttachmentError: if it is too large.
        """
        self._check_bytes(attachment.size or 0, attachment)

    async def _session(self, url: URL, file: RemoteFile) -> "aiohttp.ClientSession":
        """Return the session for an address.

        Raises:
            AttachmentError: if the address is not on a host of the platform.
        """
        is_own = file.origin is not None and _origin(url) == _origin(URL(file.origin))
        if not is_own and not (url.scheme == "https" and _is_host_of(url.host or "", file.hosts)):
            raise AttachmentError(f"The {file.title} was not fetched: its address does not belong to {file.platform}.")
        sessions = await asyncio.to_thread(import_module, SESSIONS)
        if is_own not in self._sessions:
            self._sessions[is_own] = sessions.open_session(public=not is_own)
        return self._sessions[is_own]

    def _check(self, answer: "aiohttp.ClientResponse", file: RemoteFile) -> None:
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise AttachmentError(f"The {file.title} is no longer at {file.platform}.")
        if answer.status != HTTPStatus.OK:
            sentence = f"{file.platform} does not give out the {file.title} (status {answer.status})."
            pause = retry_after(answer.headers) if "Retry-After" in answer.headers else 0.0
            if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= 500:
                raise UnavailableError(sentence, pause)
            raise AttachmentError(sentence)
        if answer.content_type in HTML and file.attachment.media_type not in HTML:  # a sign-in page
            raise AttachmentError(f"{file.platform} does not give out the {file.title}: it shows a web page instead.")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise AttachmentError(f"The {file.title} cannot be read: {file.platform} sends it compressed.")
        self._check_bytes(answer.content_length or 0, file.attachment)

    def _check_bytes(self, size: int, attachment: Attachment) -> None:
        if size > self._most:
            raise AttachmentError(f"The {attachment.title} is larger than {self._most / MEBIBYTE:g} MB.")


def _may_be_tried_again(error: BaseException) -> bool:
    return isinstance(error, UnavailableError) and error.pause <= LONGEST_PAUSE


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    """Return the origin of an address: https://www.rfc-editor.org/rfc/rfc6454#section-4"""
    return url.scheme, url.host, url.port


def _is_host_of(host: str, hosts: Collection[str]) -> bool:
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in hosts)


@contextmanager
def _sentences(file: RemoteFile) -> Iterator[None]:
    """Turn the errors of the HTTP client into an `UnavailableError` with a sentence for the person."""
    try:
        yield
    except _failures() as error:
        raise UnavailableError(f"The {file.title} cannot be fetched from {file.platform} at the moment.") from error


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP client, which is imported by the time that it raises them."""
    from aiohttp import ClientError

    return ClientError, TimeoutError, OSError, ValueError
