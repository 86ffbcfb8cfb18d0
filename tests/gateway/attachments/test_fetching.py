"""Files are fetched only from their platform, up to the size limit, and never from the gateway's own network."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.attachments.fetching import MEBIBYTE, TRIES, FileFetcher, RemoteFile
from toolkits import Attachment, AttachmentError, AttachmentKind

LIMIT = MEBIBYTE
SECRET = "Bearer xoxb-secret"
PICTURE = Attachment(AttachmentKind.IMAGE, name="a.png", media_type="image/png")

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Platform:
    """A server that answers each request with the bytes that a test writes, valid or not."""

    origin: str
    answer: Handler
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def platform(answer: Handler) -> AsyncIterator[Platform]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        try:
            await answer(writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        found = Platform(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", answer)
        yield found


def answering(status: str, body: bytes = b"", **headers: str) -> Handler:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        if "Content_Length" not in headers:
            lines.append("Connection: close")
        writer.write("\r\n".join((*lines, "", "")).encode() + body)

    return answer


async def fetch(url: str, origin: str | None, attachment: Attachment = PICTURE) -> bytes:
    fetcher = FileFetcher(LIMIT, first_pause=0.01)
    file = RemoteFile(url, "Slack", (".slack.com", "files.test"), attachment, origin, {"Authorization": SECRET})
    try:
        async with aclosing(fetcher.fetch(file)) as chunks:
            return b"".join([chunk async for chunk in chunks])
    finally:
        await fetcher.close()


async def test_a_file_is_fetched_with_its_credentials() -> None:
    async with platform(answering("200 OK", b"pixels", Content_Type="image/png")) as slack:
        assert await fetch(f"{slack.origin}/a.png", slack.origin) == b"pixels"
    assert f"Authorization: {SECRET}" in slack.requests[0]
    assert "Accept-Encoding: identity" in slack.requests[0]


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
    while True:
        writer.write(bytes(64 * 1024))
        await writer.drain()


BOMB = gzip.compress(bytes(10 * LIMIT))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (endless, "is larger than 1 MB"),
        (answering("200 OK", b"x", Content_Type="image/png", Content_Length=str(LIMIT + 1)), "is larger than 1 MB"),
        (answering("200 OK", b"x", Content_Type="image/png", Content_Length="1000"), "cannot be fetched"),
        (answering("200 OK", BOMB, Content_Type="image/png", Content_Encoding="gzip"), "sends it compressed"),
        (answering("200 OK", b"<html>", Content_Type="text/html; charset=utf-8"), "shows a web page instead"),
        (answering("404 Not Found"), "is no longer at Slack"),
        (answering("410 Gone"), "is no longer at Slack"),
        (answering("403 Forbidden"), r"does not give out .* \(status 403\)"),
        (answering("500 Oops"), r"does not give out .* \(status 500\)"),
        (answering("302 Found", Location="http://127.0.0.1:9/x"), "address does not belong to Slack"),
        (
            answering("302 Found", Location="http://169.254.169.254/latest/meta-data"),
            "address does not belong to Slack",
        ),
        (answering("302 Found", Location="https://slack.com.evil.test/x"), "address does not belong to Slack"),
        (answering("302 Found", Location="http://files.test/x"), "address does not belong to Slack"),  # not encrypted
        (answering("302 Found", Location="file:///etc/passwd"), "address does not belong to Slack"),
        (answering("302 Found", Location="/again"), "redirects too often"),
        (answering("302 Found"), "redirects too often"),
        (answering("nonsense"), "cannot be fetched"),
    ],
)
async def test_hostile_answers_are_refused_in_a_sentence_that_names_the_file(answer: Handler, sentence: str) -> None:
    async with platform(answer) as slack:
        with pytest.raises(AttachmentError, match=sentence) as raised:
            await fetch(f"{slack.origin}/a.png", slack.origin)
    assert "image 'a.png'" in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["", "/a.png", "https://example.com/a.png", "https://evilslack.com/a.png", "https://127.0.0.1/a.png", "nonsense"],
)
async def test_an_address_that_the_platform_does_not_document_is_not_requested(url: str) -> None:
    with pytest.raises(AttachmentError, match="address does not belong to Slack"):
        await fetch(url, None)


async def test_a_documented_name_without_a_public_address_is_refused() -> None:
    fetcher = FileFetcher(LIMIT, first_pause=0.01)
    file = RemoteFile("https://localhost/a.png", "Slack", ("localhost",), PICTURE)
    with pytest.raises(AttachmentError, match="cannot be fetched") as raised:
        await anext(fetcher.fetch(file))
    await fetcher.close()
    assert "no public address" in repr(raised.value.__cause__)


async def test_credentials_are_not_sent_to_another_address() -> None:
    async with platform(answering("200 OK", b"pixels", Content_Type="image/png")) as content:

        async def redirect(writer: asyncio.StreamWriter) -> None:
            await answering("307 Temporary Redirect", Location=f"{content.origin}/cdn")(writer)

        async with platform(redirect) as slack:
            with pytest.raises(AttachmentError, match="does not belong to Slack"):
                await fetch(f"{slack.origin}/a.png", slack.origin)
    assert content.requests == []


async def test_a_redirect_within_the_platform_is_followed() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        is_first = len(slack.requests) == 1
        first = answering("302 Found", Location="/real")
        await (first if is_first else answering("200 OK", b"pixels", Content_Type="image/png"))(writer)

    async with platform(answer) as slack:
        assert await fetch(f"{slack.origin}/a.png", slack.origin) == b"pixels"
    assert slack.requests[1].startswith("GET /real ")


async def test_an_html_file_is_not_taken_for_a_sign_in_page() -> None:
    page = Attachment(AttachmentKind.DOCUMENT, name="a.html", media_type="text/html")
    async with platform(answering("200 OK", b"<p>", Content_Type="text/html")) as slack:
        assert await fetch(f"{slack.origin}/a.html", slack.origin, page) == b"<p>"


async def test_an_empty_file_is_fetched() -> None:
    async with platform(answering("200 OK", Content_Type="image/png", Content_Length="0")) as slack:
        assert await fetch(f"{slack.origin}/a.png", slack.origin) == b""


async def test_a_file_whose_stated_size_is_too_large_is_not_requested() -> None:
    with pytest.raises(AttachmentError, match="is larger than 1 MB"):
        FileFetcher(LIMIT).check_size(Attachment(AttachmentKind.VIDEO, size=LIMIT + 1))


async def dropped(writer: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""


PIXELS = answering("200 OK", b"pixels", Content_Type="image/png")


@asynccontextmanager
async def recovering(*answers: Handler) -> AsyncIterator[Platform]:
    """Run a platform that gives these answers first, and then the file."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        number = len(slack.requests)
        await (answers[number - 1] if number <= len(answers) else PIXELS)(writer)

    async with platform(answer) as slack:
        yield slack


@pytest.mark.parametrize(
    "failures",
    [
        (dropped,),
        (answering("500 Oops"),),
        (answering("429 Too Many Requests"), answering("503 Service Unavailable")),
        (answering("429 Too Many Requests", Retry_After="1"),),
        (
            answering("200 OK", Content_Type="image/png", Content_Length="6"),
        ),  # the connection is lost after the headers
    ],
)
@pytest.mark.long
async def test_a_file_that_fails_before_its_first_byte_is_tried_again(failures: tuple[Handler, ...]) -> None:
    async with recovering(*failures) as slack:
        assert await fetch(f"{slack.origin}/a.png", slack.origin) == b"pixels"
    assert len(slack.requests) == len(failures) + 1


@pytest.mark.parametrize(
    "failure",
    [
        answering("404 Not Found"),
        answering("403 Forbidden"),
        answering("200 OK", b"<html>", Content_Type="text/html"),
        answering("429 Too Many Requests", Retry_After="3600"),
        answering("200 OK", b"pix", Content_Type="image/png", Content_Length="6"),
    ],
)
async def test_refusals_and_files_that_arrived_in_part_are_not_tried_again(failure: Handler) -> None:
    async with recovering(failure) as slack:
        with pytest.raises(AttachmentError):
            await fetch(f"{slack.origin}/a.png", slack.origin)
    assert len(slack.requests) == 1


async def test_a_platform_that_stays_unavailable_is_given_up() -> None:
    async with recovering(*[answering("500 Oops")] * 9) as slack:
        with pytest.raises(AttachmentError, match="status 500"):
            await fetch(f"{slack.origin}/a.png", slack.origin)
    assert len(slack.requests) == TRIES
