"""MCP servers to test against."""

from collections.abc import Iterator

import pytest
from peers.mcp_servers import Calls, EverythingServer, identity_app, stdio_command
from peers.node import UnavailableError
from peers.serving import ThreadServer


@pytest.fixture
def everything_command(processes: None) -> list[str]:
    try:
        return stdio_command()
    except UnavailableError as reason:
        pytest.skip(f"no MCP server: {reason}")


@pytest.fixture
def everything(everything_command: list[str]) -> Iterator[EverythingServer]:
    server = EverythingServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def telling(calls: Calls) -> Iterator[str]:
    with ThreadServer(identity_app(calls)) as server:
        yield f"{server.url}/mcp"
