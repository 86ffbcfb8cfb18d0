"""A connection to an MCP server is shared by all turns, and reopened when it breaks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from peers.mcp_servers import Calls, EverythingServer
from peers.wait import wait_until_async
from support.turns.mcp import UNSOUND, call, context, opened

from toolkits import ToolError
from toolkits.mcp import MCPServer
from toolkits.mcp.timings import MCPTimings


def children(command: list[str]) -> list[int]:
    ours = ["pgrep", "-P", str(os.getpid()), "-f", command[-1]]
    return [int(pid) for pid in subprocess.run(ours, capture_output=True, text=True, check=False).stdout.split()]


async def test_a_server_on_stdio_is_one_process_for_everybody_and_is_ended(everything_command: list[str]) -> None:
    before = children(everything_command)
    async with opened(MCPServer(everything_command, name="everything")) as server:
        alice, bob = context("alice"), context("bob")
        tools = {tool.name: tool for tool in await server.tools(alice)}
        assert tools["echo"].parameters["properties"]["message"]["type"] == "string"
        said = await asyncio.gather(
            *(call(server, "echo", who, message=f"{number}") for number in range(20) for who in (alice, bob))
        )
        assert said == [f"Echo: {number}" for number in range(20) for _ in range(2)]
        assert len(children(everything_command)) == len(before) + 1
    assert children(everything_command) == before


async def test_a_killed_server_is_started_again_for_the_next_call(everything_command: list[str]) -> None:
    async with opened(MCPServer(everything_command)) as server:
        (pid,) = children(everything_command)
        os.kill(pid, signal.SIGKILL)

        async def replaced() -> bool:
            return children(everything_command) not in ([], [pid])

        await wait_until_async(replaced, 10, "there is another process")
        assert await call(server, "echo", context("alice"), message="again") == "Echo: again"


COUNTING = """
import asyncio, os, sys
from mcp.server.mcpserver import MCPServer

server = MCPServer("counting")

@server.tool()
async def pay() -> str:
    with open(sys.argv[1], "a") as file:
        file.write("paid ")
    await asyncio.sleep(3600)
    return ""

@server.tool()
async def pid() -> str:
    return str(os.getpid())

server.run()
"""


@pytest.mark.processes
async def test_a_call_that_was_in_progress_is_not_made_again(tmp_path: Path) -> None:
    paid = tmp_path / "paid"
    async with opened(MCPServer([sys.executable, "-c", COUNTING, str(paid)], name="bank")) as server:
        pid = int(await call(server, "pid", context("alice")))
        paying = asyncio.create_task(call(server, "pay", context("alice")))

        async def begun() -> bool:
            return paid.exists()

        await wait_until_async(begun, 10, "the call has begun")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ToolError, match="not known whether bank has done that"):
            await paying
        assert int(await call(server, "pid", context("alice"))) != pid
    assert paid.read_text() == "paid "


async def test_an_http_server_that_was_restarted_is_used_again(everything: EverythingServer) -> None:
    async with opened(MCPServer(everything.url)) as server:
        assert await call(server, "echo", context("alice"), message="one") == "Echo: one"
        await asyncio.to_thread(everything.stop)
        await asyncio.to_thread(everything.start)
        assert await call(server, "echo", context("alice"), message="two") == "Echo: two"


async def test_a_server_that_stays_unreachable_is_a_plain_error(everything: EverythingServer) -> None:
    timings = MCPTimings(reconnect=0.5)
    async with opened(MCPServer(everything.url, name="Everything", timings=timings)) as server:
        await asyncio.to_thread(everything.stop)
        with pytest.raises(ToolError, match="Everything cannot be reached now"):
            await call(server, "echo", context("alice"), message="one")


async def test_a_cancelled_call_leaves_the_others_running(telling: str, calls: Calls) -> None:
    async with opened(MCPServer(telling)) as server:
        slow = asyncio.create_task(call(server, "linger", context("alice")))

        async def begun() -> bool:
            return calls.count == 1

        await wait_until_async(begun, 10, "the call has begun")
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert json.loads(await call(server, "whoami", context("bob"), word="on"))["word"] == "on"


@pytest.mark.parametrize("word", ["\ud800", float("nan"), float("inf")])
async def test_arguments_that_are_not_json_do_not_break_other_calls(telling: str, calls: Calls, word: Any) -> None:
    async with opened(MCPServer(telling)) as server:
        slow = asyncio.create_task(call(server, "linger", context("bob")))

        async def begun() -> bool:
            return calls.count == 1

        await wait_until_async(begun, 10, "the call has begun")
        with pytest.raises(ToolError, match="cannot be sent"):
            await call(server, "whoami", context("alice"), word=word)
        assert json.loads(await call(server, "whoami", context("carol"), word="on"))["word"] == "on"
        assert not slow.done()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


@pytest.mark.processes
async def test_a_server_that_dies_again_and_again_is_not_started_without_a_pause(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'a').write('x'); " + COUNTING.replace(
        "server.run()", "import threading; threading.Timer(0.1, lambda: os._exit(1)).start(); server.run()"
    )
    started = tmp_path / "started"
    async with opened(MCPServer([sys.executable, "-c", code, str(started)], name="mortal")):

        async def again() -> bool:
            return len(started.read_text()) == 3

        began = time.monotonic()
        await wait_until_async(again, 30, "the server was started twice more")
        assert time.monotonic() - began >= 1  # the pause before the third start


@pytest.mark.processes
async def test_tools_that_a_server_says_have_changed_are_listed_again() -> None:
    async with opened(MCPServer([sys.executable, "-c", UNSOUND], name="unsound")) as server:
        await call(server, "image", context("alice"))

        async def listed() -> bool:
            return "later" in [tool.name for tool in await server.tools(context("alice"))]

        await wait_until_async(listed, 10, "the new tool is listed")


@pytest.mark.long
async def test_a_call_without_an_answer_in_time_is_reported_as_unknown(telling: str) -> None:
    async with opened(MCPServer(telling, name="telling", timings=MCPTimings(call=0.5))) as server:
        with pytest.raises(ToolError, match="not known whether telling has done that: no answer came"):
            await call(server, "linger", context("alice"))
        assert json.loads(await call(server, "whoami", context("bob"), word="on"))["word"] == "on"


async def test_stopping_a_server_leaves_no_process(telling: str) -> None:
    before = asyncio.all_tasks()
    async with opened(MCPServer(telling)) as server:
        await call(server, "whoami", context("alice"))
    await server.stop()  # a second time
    assert asyncio.all_tasks() == before
