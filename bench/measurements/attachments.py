"""Measure how much memory a gateway needs for large files that people send."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.harness.measure import Row

SIZE = 20 * 10**6  # bytes
AT_ONCE = 10
CHUNK = 64 * 1024  # bytes
# The first bytes of a file, which decide what the gateway does with it.
BEGINNINGS = {"picture": b"\x89PNG\r\n\x1a\n", "recording": b"ID3\x04", "unread": b"ID3\x04", "saved": b""}
WAYS = {
    "saved": "a tool saves it",
    "recording": "it is transcribed",
    "picture": "the model gets it",
    "unread": "it is not read",
}


def measure_attachments() -> list[Row]:
    """Measure the growth of the memory for one file, and for several at once."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    listening = socket.create_server(("127.0.0.1", 0))  # its backlog holds requests until the server has started
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(_platform(), log_level="error", ws="none"))
    serving = asyncio.create_task(server.serve([listening]))
    rows = []
    for way, what in WAYS.items():
        for count, limit in ((1, 40), (AT_ONCE, 150)):
            growth = await _growth(url, way, count)
            name = f"memory for {count} file{'s at once' if count > 1 else ''} of 20 MB: {what}"
            rows.append(Row(name, growth, "MiB", f"{limit} MiB", growth / limit))
    server.should_exit = True
    await serving
    return rows


async def _growth(url: str, way: str, count: int) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.harness.passing", url, way, str(count), str(SIZE)),
        env={**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "any"},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    return float(printed)


def _platform() -> Starlette:
    """Return a server with the files and with the models that receive them."""

    async def file(request: Request) -> Response:
        size, beginning = request.path_params["size"], BEGINNINGS[request.path_params["way"]]

        async def content() -> AsyncIterator[bytes]:
            yield beginning
            for start in range(len(beginning), size, CHUNK):
                yield os.urandom(min(CHUNK, size - start))

        return StreamingResponse(content(), media_type="application/octet-stream")

    async def chat(request: Request) -> Response:
        async for _ in request.stream():
            pass
        message = {"role": "assistant", "content": "seen"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "bench", "usage": usage}
        return JSONResponse({**answer, "choices": [choice]})

    async def transcribe(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return JSONResponse({"text": "heard"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
            Route("/{way}/{size:int}", file),
        ]
    )
