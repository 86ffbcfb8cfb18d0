"""MCP servers: npm `@modelcontextprotocol/server-everything`, and one whose tools report who called them."""

import asyncio
import json
from typing import Any

import httpx
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from peers import node
from peers.process import Process, free_ports, retrying

EVERYTHING = "@modelcontextprotocol/server-everything/dist/index.js"


def stdio_command() -> list[str]:
    """Return the command that runs `server-everything` on its standard input and output.

    Raises:
        node.UnavailableError: the server cannot run on this machine.
    """
    return [str(node.node()), str(node.script(EVERYTHING))]


class EverythingServer:
    """`server-everything` over streamable HTTP. It keeps its port when it is stopped and started again."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._process: Process | None = None

    def start(self) -> None:
        retrying(self._start)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _start(self) -> None:
        argv = [*stdio_command(), "streamableHttp"]
        self._process = Process("server-everything", argv, self._up, {"PORT": str(self.port)})
        self._process.start()

    def _up(self) -> bool:
        return httpx.get(self.url, trust_env=False).status_code < 500


class Calls:
    """Record the calls of a server of `identity_app`.

    Attributes:
        tokens: the bearer token of each HTTP request, if the server checks tokens.
        count: the calls of `linger` and `refuse`.
    """

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.count = 0


def identity_app(calls: Calls, *, accepted: set[str] | None = None) -> ASGIApp:
    """Return an MCP server over streamable HTTP, at `/mcp`. Its tool `whoami` returns the metadata and token of a call.

    Args:
        calls: where the server records calls.
        accepted: the bearer tokens that the server accepts; it answers other requests with 401. Without this argument,
            it accepts every request.
    """
    server = MCPServer("identity")

    @server.tool(title="Asking who  you are")
    async def whoami(ctx: Context[Any, Any], word: str = "") -> str:
        """Report the metadata and the token of this call."""
        request = ctx.request_context.request
        token = request.headers.get("authorization", "").removeprefix("Bearer ") if request is not None else ""
        meta = dict(ctx.request_context.meta or {})
        await asyncio.sleep(0.01)
        return json.dumps({"meta": meta, "token": token, "word": word})

    @server.tool()
    async def linger() -> str:
        """Count the call, and do not answer."""
        calls.count += 1
        await asyncio.sleep(3600)
        return ""

    @server.tool()
    async def fail() -> str:
        """Fail."""
        raise ToolError("that cannot be")

    @server.tool()
    async def refuse(code: int, message: str = "that is my own number") -> str:
        """Count the call, and answer it with a JSON-RPC error."""
        calls.count += 1
        raise MCPError(code, message)

    inner = server.streamable_http_app()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and accepted is not None:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            token = headers.get("authorization", "").removeprefix("Bearer ")
            calls.tokens.append(token)
            if token not in accepted:
                return await Response("who?", 401)(scope, receive, send)
        await inner(scope, receive, send)
        return None

    assert isinstance(inner, Starlette)
    return app
