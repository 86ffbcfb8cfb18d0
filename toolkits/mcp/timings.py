"""The time limits of connections to MCP servers, and of calls over them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MCPTimings:
    """The time limits of one server's connections, in seconds. Tests use shorter ones.

    Args:
        start: how long the server may take to list its tools, when the gateway starts.
        call: how long a call waits for its result.
        reconnect: how long a call waits for a server that cannot be reached, before it fails.
        close: how long a connection may take to close, before it is abandoned.
        longest_pause: the longest wait between two attempts to connect.
        pool: how long a call waits for a free connection, when all connections of people are in use.
        idle: how long a person's connection stays open without a call.
        sweep: the interval between two searches for idle connections.
    """

    start: float = 20.0
    call: float = 120.0
    reconnect: float = 10.0
    close: float = 10.0
    longest_pause: float = 30.0
    pool: float = 10.0
    idle: float = 300.0
    sweep: float = 60.0


DEFAULT_MCP_TIMINGS = MCPTimings()
