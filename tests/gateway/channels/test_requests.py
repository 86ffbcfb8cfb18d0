"""Request bodies that are too long, too slow, too many, or not parseable."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.channels.requests import MOST_BYTES, BodyMemory, parse_form, parse_json, read_body, read_form


class Sent:
    """A body that counts how much of it was read, and that never ends if it is `held`."""

    def __init__(self, *chunks: bytes, held: bool = False) -> None:
        self.chunks = chunks
        self.read = 0
        self.held = held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.read += len(chunk)
            yield chunk
        if self.held:
            await asyncio.Event().wait()


def client(read: Callable[[Request], object]) -> httpx.AsyncClient:
    """Return a client of an application that reads the body of each request."""

    async def receive(request: Request) -> Response:
        body = await read(request)  # type: ignore[misc]
        return PlainTextResponse(str(len(body)))

    app = Starlette(routes=[Route("/", receive, methods=["POST"])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stage.test")


async def test_a_body_is_read_whole() -> None:
    async with client(read_body) as sender:
        assert (await sender.post("/", content=Sent(b"ab", b"c"))).text == "3"


async def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    async with client(read_body) as sender:
        body = Sent(*[b"x" * 100_000] * 100)
        answer = await sender.post("/", content=body)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
        assert body.read < MOST_BYTES + 200_000


async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    async with client(lambda request: read_body(request, within=0.05)) as sender:
        answer = await sender.post("/", content=Sent(b'{"type":', held=True))
        assert (answer.status_code, answer.headers["connection"]) == (408, "close")


async def test_bodies_that_are_held_open_take_no_more_memory_than_a_bound() -> None:
    memory = BodyMemory(300_000)
    async with client(lambda request: read_body(request, memory=memory)) as sender:
        held = [Sent(b"x" * 100_000, held=True) for _ in range(3)]
        waiting = [asyncio.create_task(sender.post("/", content=body)) for body in held]
        while sum(body.read for body in held) < 300_000:
            await asyncio.sleep(0)
        refused = await sender.post("/", content=b"{}")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (await sender.post("/", content=b"{}")).status_code == 200


async def test_a_body_that_is_not_a_form_is_not_read() -> None:
    async with client(read_form) as sender:
        body = Sent(b"{}")
        answer = await sender.post("/", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, body.read) == (415, 0)
        form = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
        assert (await sender.post("/", content=Sent(b"a=b"), headers=form)).text == "3"


def test_characters_that_no_database_stores_are_replaced() -> None:
    fields, text = parse_json(rb'{"a": "\u0000", "b": "\ud83d\ude00", "c": "\ud800", "d": "\\u0000"}')
    assert fields == {"a": "\ufffd", "b": "\U0001f600", "c": "\ufffd", "d": "\\u0000"}
    assert parse_json(text.encode()) == (fields, text)


def test_a_form_of_too_many_fields_is_refused() -> None:
    assert parse_form("a=1&b=&a=2") == {"a": "2", "b": ""}
    with pytest.raises(HTTPException) as refused:
        parse_form("&".join(f"f{number}=" for number in range(300)))
    assert refused.value.status_code == 400
