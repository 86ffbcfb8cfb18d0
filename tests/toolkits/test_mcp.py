"""MCP servers: shared, reconnected, closed; and a connection for each person where the server wants their account."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from peers.mcp_servers import Calls, EverythingServer, stdio_command, telling_app
from peers.node import UnavailableError
from peers.serving import ThreadServer
from peers.wait import wait_until_async
from stage import FakeProvider
from starlette.responses import Response
from starlette.types import Message as ASGIMessage
from starlette.types import Receive, Scope, Send

from oauth import ConsentRequiredError, Identity, SettingError
from toolkits import Conversation, Message, ToolError, TurnContext
from toolkits.mcp import MCPServer
from toolkits.mcp.timings import MCPTimings

Opened = Callable[[MCPServer], AbstractAsyncContextManager[MCPServer]]


@dataclass
class Tokens:
    """Credentials by user id."""

    held: dict[str, str] = field(default_factory=dict)
    renewed: int = 0


@dataclass
class Source:
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
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def call(server: MCPServer, name: str, who: TurnContext, **arguments: Any) -> str:
    (tool,) = [tool for tool in await server.tools(who) if tool.name == name]
    return await tool.call(arguments, who)


@pytest.fixture
def everything_command() -> list[str]:
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
    with ThreadServer(telling_app(calls)) as server:
        yield f"{server.url}/mcp"


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


async def test_results_are_text_and_what_is_none_is_named(everything_command: list[str]) -> None:
    async with opened(MCPServer(everything_command)) as server:
        image = await call(server, "get-tiny-image", context("alice"))
        assert "[image/png, " in image
        assert "temperature" in await call(server, "get-structured-content", context("alice"), location="New York")


async def test_a_killed_server_is_there_again_for_the_next_call(everything_command: list[str]) -> None:
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


async def test_a_call_that_was_under_way_is_not_made_again(tmp_path: Path) -> None:
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


async def test_a_server_that_stays_away_is_a_plain_error(everything: EverythingServer) -> None:
    timings = MCPTimings(reconnect=0.5)
    async with opened(MCPServer(everything.url, name="Everything", timings=timings)) as server:
        await asyncio.to_thread(everything.stop)
        with pytest.raises(ToolError, match="Everything cannot be reached now"):
            await call(server, "echo", context("alice"), message="one")


async def test_each_call_tells_whose_turn_it_is(telling: str) -> None:
    async with opened(MCPServer(telling, headers={"Authorization": "Bearer ours"})) as server:
        people = [context(name) for name in ("alice", "bob")]
        told = await asyncio.gather(*(call(server, "whoami", who, word=str(n)) for n in range(25) for who in people))
    for number, answer in enumerate(told):
        who, found = people[number % 2], json.loads(answer)
        assert found["meta"]["understudy/identity"] == {
            "channel": "stage",
            "tenant": "T1",
            "user_id": who.identity.user_id,
            "conversation": who.conversation.id,
            "reference": who.reference,
        }
        assert (found["word"], found["token"]) == (str(number // 2), "ours")


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
async def test_arguments_that_are_no_json_break_nobody_elses_call(telling: str, calls: Calls, word: Any) -> None:
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


async def test_a_turn_that_ends_while_a_connection_is_made_leaves_nothing() -> None:
    reached = asyncio.Event()

    async def stay_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await writer.wait_closed()

    silent = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with opened(MCPServer(f"http://127.0.0.1:{port}/mcp", name="silent", auth=FakeProvider())) as server:
        listing = asyncio.create_task(server.tools(context("alice", Tokens({"alice": "token"}))))
        await reached.wait()
        listing.cancel()
        await asyncio.gather(listing, return_exceptions=True)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "mcp-silent"]
    silent.close()


async def test_a_server_that_dies_again_and_again_is_not_started_without_a_pause(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'a').write('x'); " + COUNTING.replace(
        "server.run()", "import threading; threading.Timer(0.1, lambda: os._exit(1)).start(); server.run()"
    )
    started = tmp_path / "started"
    async with opened(MCPServer([sys.executable, "-c", code, str(started)], name="mortal")):

        async def again() -> bool:
            return len(started.read_text()) == 3

        began = time.monotonic()
        await wait_until_async(again, 30, "it was started twice more")
        assert time.monotonic() - began >= 1  # the pause before the third


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


async def test_a_result_that_is_not_as_it_should_be_is_told_to_the_model() -> None:
    async with opened(MCPServer([sys.executable, "-c", UNSOUND], name="unsound")) as server:
        assert await call(server, "image", context("alice")) == "[image/png, 1 KiB]"
        for name in ("structure", "content", "kind"):
            with pytest.raises(ToolError, match=f"unsound has done {name}, but its result cannot be read"):
                await call(server, name, context("alice"))


async def test_tools_that_a_server_says_have_changed_are_listed_again() -> None:
    async with opened(MCPServer([sys.executable, "-c", UNSOUND], name="unsound")) as server:
        await call(server, "image", context("alice"))

        async def listed() -> bool:
            return "later" in [tool.name for tool in await server.tools(context("alice"))]

        await wait_until_async(listed, 10, "the new tool is listed")


async def test_what_a_tool_says_of_its_failure_is_for_the_model(telling: str) -> None:
    async with opened(MCPServer(telling)) as server:
        with pytest.raises(ToolError, match="that cannot be"):
            await call(server, "fail", context("alice"))


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
# Of the SDK (connection closed, request timeout), and once of this package.
CODES = [-32000, -32001, -32050, -32051, -32052]


@pytest.mark.parametrize("code", CODES)
async def test_an_error_code_of_a_servers_own_is_its_answer_and_nothing_else(
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


@pytest.mark.parametrize("code", CODES)
async def test_an_error_code_of_its_own_does_not_end_a_server_on_stdio(code: int, tmp_path: Path) -> None:
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


async def test_a_personal_connection_survives_an_error_code_of_the_servers_own(calls: Calls) -> None:
    tokens = Tokens({"alice": "token"})
    async with personal(calls, {"token"}) as server:
        for code in CODES:
            with pytest.raises(ToolError, match="refused refuse"):
                await call(server, "refuse", context("alice", tokens), code=code)
    assert calls.count == len(CODES)
    assert tokens.renewed == 0


async def test_a_streamed_answer_that_ends_too_early_is_told_as_unknown(calls: Calls) -> None:
    inner = telling_app(calls)

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


async def test_a_call_without_an_answer_in_time_is_told_as_unknown(telling: str) -> None:
    async with opened(MCPServer(telling, name="telling", timings=MCPTimings(call=0.5))) as server:
        with pytest.raises(ToolError, match="not known whether telling has done that: no answer came"):
            await call(server, "linger", context("alice"))
        assert json.loads(await call(server, "whoami", context("bob"), word="on"))["word"] == "on"


async def test_a_server_that_is_not_there_stops_the_start() -> None:
    for server in (MCPServer("http://127.0.0.1:9/mcp"), MCPServer(["no-such-command-anywhere"])):
        with pytest.raises(SettingError, match="could not be started or reached"):
            await server.start()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(SettingError, match=r"'sleeper'.*did not answer within"):
        await MCPServer(command, name="sleeper", timings=MCPTimings(start=0.5)).start()


async def test_nothing_is_left_of_a_server_that_was_stopped(telling: str) -> None:
    before = asyncio.all_tasks()
    async with opened(MCPServer(telling)) as server:
        await call(server, "whoami", context("alice"))
    await server.stop()  # a second time
    assert asyncio.all_tasks() == before


async def test_a_server_from_pypi_works(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"]
    async with opened(MCPServer(command)) as server:
        assert "UTC" in await call(server, "get_current_time", context("alice"), timezone="UTC")


PEOPLE = [f"p{number}" for number in range(6)]


@asynccontextmanager
async def personal(calls: Calls, accepted: set[str], **options: Any) -> AsyncIterator[MCPServer]:
    with ThreadServer(telling_app(calls, accepted=accepted)) as thread:
        server = MCPServer(f"{thread.url}/mcp", name="Vault 1", auth=FakeProvider(), **options)
        async with opened(server):
            yield server


async def test_each_person_calls_with_their_own_token_over_their_own_connection(calls: Calls) -> None:
    tokens = Tokens({person: f"token-{person}" for person in ("alice", "bob")})
    async with personal(calls, set(tokens.held.values())) as server:
        people = [context(person, tokens) for person in ("alice", "bob")]
        told = await asyncio.gather(*(call(server, "whoami", who) for _ in range(25) for who in people))
        assert server._pool is not None
        assert len(server._pool) == 2
        assert server.private
    for number, answer in enumerate(told):
        found = json.loads(answer)
        assert found["token"] == f"token-{found['meta']['understudy/identity']['user_id']}"
        assert found["token"] == f"token-{('alice', 'bob')[number % 2]}"


async def test_somebody_who_has_not_connected_is_asked_to(calls: Calls) -> None:
    tokens = Tokens()
    async with personal(calls, {"token-alice"}) as server:
        (tool,) = await server.tools(context("alice", tokens))
        assert tool.name == "connect_vault_1"
        with pytest.raises(ConsentRequiredError):
            await tool.call({}, context("alice", tokens))
        tokens.held["alice"] = "token-alice"
        assert "whoami" in [each.name for each in await server.tools(context("alice", tokens))]
    assert set(calls.tokens) == {"token-alice"}


async def test_there_are_never_more_connections_than_allowed(calls: Calls) -> None:
    tokens = Tokens({person: f"token-{person}" for person in PEOPLE})
    async with personal(calls, set(tokens.held.values()), max_connections=2) as server:
        assert server._pool is not None
        most = 0

        async def ask(person: str) -> str:
            nonlocal most
            answer = await call(server, "whoami", context(person, tokens))
            most = max(most, len(server._pool or ()))
            return str(json.loads(answer)["token"])

        found = await asyncio.gather(*(ask(person) for person in PEOPLE * 3))
    assert found == [f"token-{person}" for person in PEOPLE * 3]
    assert most <= 2


async def test_a_connection_is_replaced_when_the_token_is_another_one(calls: Calls) -> None:
    tokens, accepted = Tokens({"alice": "old"}), {"old", "new"}
    async with personal(calls, accepted) as server:
        assert json.loads(await call(server, "whoami", context("alice", tokens)))["token"] == "old"
        tokens.held["alice"] = "new"
        assert json.loads(await call(server, "whoami", context("alice", tokens)))["token"] == "new"


async def test_a_token_that_is_rejected_is_renewed_once(calls: Calls) -> None:
    tokens, accepted = Tokens({"alice": "old"}), {"old", "token-alice-1"}
    async with personal(calls, accepted) as server:
        await call(server, "whoami", context("alice", tokens))
        accepted.discard("old")
        assert json.loads(await call(server, "whoami", context("alice", tokens)))["token"] == "token-alice-1"
        assert tokens.renewed == 1
        accepted.clear()
        with pytest.raises(ToolError, match="does not accept the Fake account"):
            await call(server, "whoami", context("alice", tokens))


async def test_a_persons_connection_outlives_a_restart_of_the_server(everything: EverythingServer) -> None:
    tokens = Tokens({"alice": "token"})
    async with opened(MCPServer(everything.url, auth=FakeProvider())) as server:
        assert await call(server, "echo", context("alice", tokens), message="one") == "Echo: one"
        await asyncio.to_thread(everything.stop)
        await asyncio.to_thread(everything.start)
        assert await call(server, "echo", context("alice", tokens), message="two") == "Echo: two"


async def test_a_call_under_way_ends_although_the_token_changes(calls: Calls) -> None:
    tokens, accepted = Tokens({"alice": "old"}), {"old", "new"}
    async with personal(calls, accepted) as server:
        await call(server, "whoami", context("alice", tokens))
        first = [asyncio.create_task(call(server, "whoami", context("alice", tokens))) for _ in range(5)]
        await asyncio.sleep(0)
        tokens.held["alice"] = "new"
        second = await call(server, "whoami", context("alice", tokens))
        assert {json.loads(answer)["token"] for answer in await asyncio.gather(*first)} <= {"old", "new"}
        assert json.loads(second)["token"] == "new"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("example.com/mcp",), "not the address"),
        (("https://me:pw@example.com/mcp",), "password"),
        (([],), "command"),
    ],
)
def test_a_server_that_cannot_be_is_refused(arguments: tuple[Any], named: str) -> None:
    with pytest.raises(SettingError, match=named) as refused:
        MCPServer(*arguments)
    assert "pw" not in str(refused.value)


def test_peoples_tokens_do_not_travel_in_clear() -> None:
    with pytest.raises(SettingError, match="unencrypted"):
        MCPServer("http://example.com/mcp", auth=FakeProvider())
    with pytest.raises(SettingError, match="is a command"):
        MCPServer(["server"], auth=FakeProvider())
