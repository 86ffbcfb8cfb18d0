"""Errors of an MCP server are distinguished from errors of the connection."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from peers.mcp_servers import Calls, identity_app
from peers.serving import ThreadServer
from peers.wait import wait_until_async
from starlette.responses import Response
from starlette.types import Message as ASGIMessage
from starlette.types import Receive, Scope, Send
from support.turns.mcp import Tokens, call, context, opened, personal

from toolkits import ToolError
from toolkits.mcp import MCPServer

REFUSING = """
import sys
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError

server = MCPServer("refusing")

@server.tool()
async def refuse(code: int, message: str = "that is my own number") -> str:
    with open(sys.argv[1], "a") as file:
        file.write("called ")
    raise MCPError(code, message)

server.run()
"""


# The codes of the SDK (connection closed, request timeout), and one that an earlier version of this package used.
CODES = [-32000, -32001, -32050, -32051, -32052]


@pytest.mark.parametrize("code", CODES)
async def test_an_error_code_that_the_sdk_also_uses_is_taken_as_the_servers_answer(
    code: int, telling: str, calls: Calls
) -> None:
    async with opened(MCPServer(telling, name="telling")) as server:
        slow = asyncio.create_task(call(server, "linger", context("bob")))

        async def begun() -> bool:
            return calls.count == 1

        await wait_until_async(begun, 10, "the call has begun")
        connection = server._connection
        assert connection is not None
        used = connection._session
        with pytest.raises(ToolError, match="telling refused refuse: that is my own number"):
            await call(server, "refuse", context("alice"), code=code)
        assert calls.count == 2
        assert json.loads(await call(server, "whoami", context("carol"), word="on"))["word"] == "on"
        assert connection._session is used
        assert not slow.done()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


@pytest.mark.processes
@pytest.mark.parametrize("code", CODES)
async def test_the_servers_own_error_code_does_not_end_a_server_on_stdio(code: int, tmp_path: Path) -> None:
    called = tmp_path / "called"
    async with opened(MCPServer([sys.executable, "-c", REFUSING, str(called)], name="refusing")) as server:
        connection = server._connection
        assert connection is not None
        used = connection._session
        for _ in range(2):
            with pytest.raises(ToolError, match="refusing refused refuse: that is my own number"):
                await call(server, "refuse", context("alice"), code=code)
        assert connection._session is used
    assert called.read_text() == "called called "


async def test_a_personal_connection_survives_the_servers_own_error_code(calls: Calls) -> None:
    tokens = Tokens({"alice": "token"})
    async with personal(calls, {"token"}) as server:
        for code in CODES:
            with pytest.raises(ToolError, match="refused refuse"):
                await call(server, "refuse", context("alice", tokens), code=code)
    assert calls.count == len(CODES)
    assert tokens.renewed == 0


async def test_a_streamed_answer_that_ends_too_early_is_reported_as_unknown(calls: Calls) -> None:
    inner = identity_app(calls)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await inner(scope, receive, send)
        message = await receive()
        if b'"cut"' in message["body"]:
            return await Response(media_type="text/event-stream")(scope, receive, send)
        messages = [message]

        async def receive_again() -> ASGIMessage:
            return messages.pop() if messages else await receive()

        return await inner(scope, receive_again, send)

    with ThreadServer(app) as thread:
        async with opened(MCPServer(f"{thread.url}/mcp", name="telling")) as server:
            connection = server._connection
            assert connection is not None
            used = connection._session
            with pytest.raises(ToolError, match="not known whether telling has done that: its answer broke off"):
                await call(server, "whoami", context("alice"), word="cut")
            assert json.loads(await call(server, "whoami", context("bob"), word="on"))["word"] == "on"
            assert connection._session is used
