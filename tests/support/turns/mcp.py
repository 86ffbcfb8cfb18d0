"""Turns in which people call the tools of MCP servers, without a gateway."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from peers.mcp_servers import Calls, identity_app
from peers.serving import ThreadServer

from oauth import ConsentRequiredError, Identity
from support.stage import FakeProvider
from toolkits import Conversation, Message, TurnContext
from toolkits.mcp import MCPServer


@dataclass
class Tokens:
    """The access tokens of people.

    Attributes:
        held: the access token of each person, by user id.
        renewed: how often a token was renewed.
    """

    held: dict[str, str] = field(default_factory=dict)
    renewed: int = 0


@dataclass
class Source:
    """The credentials of a turn of one person."""

    tokens: Tokens
    person: str

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        if renew:
            self.tokens.renewed += 1
            self.tokens.held[self.person] = f"token-{self.person}-{self.tokens.renewed}"
        if self.person not in self.tokens.held:
            raise ConsentRequiredError(provider, frozenset(scopes))
        return self.tokens.held[self.person]

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        raise NotImplementedError

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        return self.person in self.tokens.held


def context(person: str, tokens: Tokens | None = None) -> TurnContext:
    """Return the context of a turn of a person."""
    who, where = Identity("stage", "T1", person), Conversation("stage", "T1", f"dm-{person}", shared=False)
    return TurnContext(
        identity=who,
        conversation=where,
        message=Message(id="1", text="", sender=who, sender_name=person, conversation=where),
        deadline=datetime.now(UTC) + timedelta(minutes=1),
        reference=f"ref-{person}",
        credential_source=Source(tokens or Tokens(), person),
    )


@asynccontextmanager
async def opened(server: MCPServer) -> AsyncIterator[MCPServer]:
    """Start a server, and stop it after the block."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def call(server: MCPServer, name: str, who: TurnContext, **arguments: Any) -> str:
    """Call a tool of a server in a turn, and return its result."""
    (tool,) = [tool for tool in await server.tools(who) if tool.name == name]
    return await tool.call(arguments, who)


@asynccontextmanager
async def personal(calls: Calls, accepted: set[str], **options: Any) -> AsyncIterator[MCPServer]:
    """Run a server that each person calls with their own account, and that accepts only the given tokens."""
    with ThreadServer(identity_app(calls, accepted=accepted)) as thread:
        server = MCPServer(f"{thread.url}/mcp", name="Vault 1", auth=FakeProvider(), **options)
        async with opened(server):
            yield server


# A server whose results do not match the schemas of its tools, and which adds a tool after each call.
UNSOUND = """
import json, sys

RESULTS = {
    "image": {"content": [{"type": "image", "data": "abc", "mimeType": "image/png"}]},
    "structure": {"content": [{"type": "text", "text": "hi"}], "structuredContent": {"n": "no number"}},
    "content": {"content": 5},
    "kind": {"content": [{"type": "hologram"}]},
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        version = message["params"]["protocolVersion"]
        info = {"name": "unsound", "version": "1"}
        answer["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    elif message["method"] == "tools/list":
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in RESULTS]
        tools[1]["outputSchema"] = SCHEMA
        answer["result"] = {"tools": tools}
    elif message["method"] == "tools/call":
        answer["result"] = RESULTS[message["params"]["name"]]
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}), flush=True)
        RESULTS["later"] = RESULTS["image"]
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
"""
