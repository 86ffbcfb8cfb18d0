"""How long connections to MCP servers, and calls over them, wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MCPTimings:
    """The waits of one server's connections, in seconds. Tests give shorter ones.

    Args:
        start: for the server to list its tools, when the gateway starts.
        call: for the result of one call.
        reconnect: for a server that is away, before a call fails.
        close: for a connection to close. One that does not is abandoned.
        longest_pause: between two tries to connect.
        pool: for one of the connections of people to be free, when all are in use.
        idle: without a call, until a person's connection is closed.
        sweep: between two looks for idle connections.
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
