"""The MCP servers that an operator names, and their tools."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from oauth import OAuthProvider, SettingError
from oauth.extras import extra_needed
from oauth.settings import is_loopback
from toolkits.context import TurnContext
from toolkits.errors import ToolError
from toolkits.mcp.timings import DEFAULT_MCP_TIMINGS, MCPTimings
from toolkits.text import readable, storable

if TYPE_CHECKING:
    from mcp_types import CallToolResult, Tool

    from toolkits.mcp.connection import Connection
    from toolkits.mcp.pool import ConnectionPool

MAX_CONNECTIONS = 32
LONGEST_LABEL = 80  # characters of a title that a server gives
IDENTITY = "understudy/identity"
"""The key in the metadata (`_meta`) of each call under which the server finds whose turn it is. It has a prefix and a
name, as https://modelcontextprotocol.io/specification/2025-06-18/basic/index#meta requires."""


@dataclass(frozen=True, eq=False)
class MCPTool:
    """A tool of a server. It is the same for everybody; the context tells who calls it.

    Args:
        parameters: JSON Schema of the arguments.
        read_only: whether the server says that it changes nothing (`readOnlyHint`).
        label: what people are shown while a call runs: the title that the server gives it, or its name in words.
    """

    name: str
    description: str
    parameters: dict[str, Any] = field(repr=False)
    server: "MCPServer"
    read_only: bool = False
    label: str = ""

    async def call(self, arguments: Mapping[str, Any], context: TurnContext) -> str:
        """Call the tool for the sender of the turn's message; return text for the model.

        Raises:
            ToolError: with one plain sentence, if there is no result.
            ConsentRequiredError: if the server needs each person's own account, and they have not connected it.
        """
        return await self.server.call(self.name, arguments, context)


class MCPServer:
    """A Model Context Protocol server whose tools an agent may call.

    The gateway connects to it once, at start-up, and every copy of the agent shares the connection. The metadata of
    each call tells the server whose turn it is. With `auth`, each person has their own connection, with their own
    token. The gateway offers the server no sampling, no roots and no elicitation.

    Args:
        server: the address of a streamable HTTP endpoint, or a command and its arguments for a server on stdio.
        name: the server's name in messages. Default: the host or the command.
        env: environment variables for the command, besides the few harmless ones that it always gets.
        headers: sent with each request to the endpoint.
        auth: the OAuth provider whose access token the endpoint needs from each person.
        scopes: the permissions that the endpoint needs from that provider.
        private: whether the results of its tools are only for the sender. With `auth` they always are.
        approval: whether the person whose turn it is has to approve, in the chat, each call of a tool that is not
            read-only (`readOnlyHint`).
        max_connections: with `auth`, how many people's connections may be open at once.
        timings: how long connections and calls wait.

    Raises:
        SettingError: naming what is wrong.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: OAuthProvider | None = None,
        scopes: Collection[str] = (),
        private: bool = False,
        approval: bool = False,
        max_connections: int = MAX_CONNECTIONS,
        timings: MCPTimings = DEFAULT_MCP_TIMINGS,
    ) -> None:
        if isinstance(server, str):
            self._url: str | None = _checked(server, with_token=auth is not None)
            self._command: tuple[str, ...] = ()
            self.name = name or str(urlsplit(server).hostname)
        else:
            if not server:
                raise SettingError("MCPServer([]) needs a command and its arguments, or the address of an endpoint.")
            if auth is not None or headers is not None:
                raise SettingError(
                    f"MCPServer({list(server)!r}) is a command, so it takes no headers=… and no auth=…: these are for "
                    "the address of an HTTP endpoint."
                )
            self._url, self._command = None, tuple(server)
            self.name = name or PurePath(server[0]).name
        if env is not None and self._url is not None:
            raise SettingError(f"MCPServer({server!r}, env=…) is wrong: environment variables are for a command.")
        self.auth = auth
        self.scopes = frozenset(scopes)
        self.private = private or auth is not None
        self.approval = approval
        self._env = dict(env or {})
        self._headers = dict(headers or {})
        self._max_connections = max_connections
        self._timings = timings
        self._connection: Connection | None = None
        self._pool: ConnectionPool | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the server itself: it serves everybody, and keys people's connections by their whole identity."""
        return self

    async def start(self) -> None:
        """Connect, unless each person has their own connection.

        Raises:
            SettingError: if the server cannot be reached, or the extra `mcp` is not installed.
        """
        # Imported on first use, because the import of the SDK takes a while.
        with extra_needed("mcp", "MCPServer"):
            from toolkits.mcp.connection import ServerUnauthorizedError, ServerUnreachableError
            from toolkits.mcp.pool import ConnectionPool

        if self.auth is not None:
            self._pool = ConnectionPool(self.name, self._max_connections, self._open, self._timings)
            self._pool.start()
            return
        try:
            self._connection = await self._open(None)
        except (ServerUnreachableError, ServerUnauthorizedError) as error:
            what = self._url or " ".join(self._command)
            raise SettingError(
                f"The MCP server {self.name!r} ({what}) could not be started or reached: "
                f"{error}. Start it, or take it out of Agent(mcp_servers=…)."
            ) from error

    async def stop(self) -> None:
        """Close all connections, and end the command."""
        if self._connection is not None:
            await self._connection.stop()
        if self._pool is not None:
            await self._pool.stop()
        self._connection = self._pool = None

    @property
    def shared_tools(self) -> Sequence[MCPTool]:
        """The tools that everybody has: none if the server needs each person's own account."""
        return [self._tool(tool) for tool in self._connection.tools] if self._connection is not None else []

    async def tools(self, context: TurnContext) -> Sequence[MCPTool]:
        """Return the tools that the sender of the turn's message has.

        If the server needs each person's own account and the sender has not connected theirs, the only tool is one
        that asks them to connect it.
        """
        if self.auth is None:
            return self.shared_tools
        if not await context.is_connected(self.auth.name, self.scopes):
            return [self._sign_in_tool()]
        found: Sequence[MCPTool] = await self._with_connection(context, self._list)
        return found

    async def call(self, name: str, arguments: Mapping[str, Any], context: TurnContext) -> str:
        """Call a tool by its name: see `MCPTool.call`."""
        from toolkits.mcp.connection import ServerUnauthorizedError
        from toolkits.mcp.results import as_text

        if self.auth is not None and name == self._sign_in_name:
            await context.credentials(self.auth.name, self.scopes)
            return f"{self.auth.label} is connected. The tools will be there with the next message."

        async def call(connection: "Connection") -> "CallToolResult":
            return await connection.call(name, arguments, {IDENTITY: _identity(context)})

        if self.auth is None:
            assert self._connection is not None, "the server is not started"
            try:
                result = await call(self._connection)
            except ServerUnauthorizedError:
                raise ToolError(f"{self.name} no longer accepts the gateway's credentials.") from None
        else:
            result = await self._with_connection(context, call)
        text = as_text(result)
        if result.is_error:
            raise ToolError(text or f"{self.name} could not do that.")
        return text

    async def _with_connection(self, context: TurnContext, use: Any) -> Any:
        """Use the sender's own connection. If the server rejects its token, renew the token and reconnect once."""
        from toolkits.mcp.connection import ServerUnauthorizedError, ServerUnreachableError

        assert self._pool is not None, "the server is not started"
        assert self.auth is not None
        for renew in (False, True):
            credentials = await context.credentials(self.auth.name, self.scopes, renew=renew)
            try:
                async with self._pool.connection(context.identity, _access_token(credentials)) as connection:
                    return await use(connection)
            except ServerUnauthorizedError:
                await self._pool.drop(context.identity)
            except ServerUnreachableError as error:
                raise ToolError(f"{self.name} cannot be reached now.") from error
        raise ToolError(f"{self.name} does not accept the {self.auth.label} account.")

    async def _list(self, connection: "Connection") -> list[MCPTool]:
        return [self._tool(tool) for tool in connection.tools]

    async def _open(self, access_token: str | None) -> "Connection":
        from toolkits.mcp.connection import Connection
        from toolkits.mcp.transport import http, stdio

        if self._url is None:
            connect = stdio(self._command, self._env)
        else:
            authorization = {} if access_token is None else {"Authorization": f"Bearer {access_token}"}
            connect = http(self._url, self._headers | authorization)
        connection = Connection(self.name, connect, self._timings)
        await connection.start()
        return connection

    def _tool(self, tool: "Tool") -> MCPTool:
        read_only = tool.annotations is not None and bool(tool.annotations.read_only_hint)
        # https://modelcontextprotocol.io/specification/2025-06-18/schema#tool has the order of the titles
        title = tool.title or (tool.annotations.title if tool.annotations is not None else None) or readable(tool.name)
        label = " ".join(storable(title).split())[:LONGEST_LABEL]
        description = tool.description or tool.title or ""
        return MCPTool(tool.name, description, dict(tool.input_schema), self, read_only, label)

    @property
    def _sign_in_name(self) -> str:
        return f"connect_{re.sub(r'[^a-zA-Z0-9]+', '_', self.name).strip('_').lower()}"

    def _sign_in_tool(self) -> MCPTool:
        assert self.auth is not None
        description = (
            f"Connect the user's {self.auth.label} account, which the tools of {self.name} need. "
            f"Call this when the user asks for something that {self.name} can do."
        )
        label = f"Connecting your {self.auth.label} account"
        parameters = {"type": "object", "properties": {}}
        return MCPTool(self._sign_in_name, description, parameters, self, read_only=True, label=label)


def _checked(url: str, *, with_token: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(
            f"MCPServer({url!r}) is not the address of an HTTP endpoint: give one like https://example.com/mcp, "
            "or a command and its arguments as a list."
        )
    if parts.username or parts.password:
        raise SettingError(
            f"MCPServer(…) at {parts.hostname} has a password in its address: use headers={{…}} instead."
        )
    if with_token and parts.scheme == "http" and not is_loopback(url):
        raise SettingError(f"MCPServer({url!r}) would send people's tokens unencrypted: use https.")
    return url


def _access_token(credentials: Any) -> str:
    return str(getattr(credentials, "token", credentials))


def _identity(context: TurnContext) -> dict[str, str]:
    who = context.identity
    return {
        "channel": who.channel,
        "tenant": who.tenant,
        "user_id": who.user_id,
        "conversation": context.conversation.id,
        "reference": context.reference,
    }
