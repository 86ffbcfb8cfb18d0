"""Each person has their own connection to a server that needs their account."""

import asyncio
import json

from peers.mcp_servers import Calls, EverythingServer
from support.stage import FakeProvider
from support.turns.mcp import Tokens, call, context, opened, personal

from toolkits.mcp import MCPServer

PEOPLE = [f"p{number}" for number in range(6)]


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


async def test_a_connection_is_replaced_when_the_token_changes(calls: Calls) -> None:
    tokens, accepted = Tokens({"alice": "old"}), {"old", "new"}
    async with personal(calls, accepted) as server:
        assert json.loads(await call(server, "whoami", context("alice", tokens)))["token"] == "old"
        tokens.held["alice"] = "new"
        assert json.loads(await call(server, "whoami", context("alice", tokens)))["token"] == "new"


async def test_a_persons_connection_outlives_a_restart_of_the_server(everything: EverythingServer) -> None:
    tokens = Tokens({"alice": "token"})
    async with opened(MCPServer(everything.url, auth=FakeProvider())) as server:
        assert await call(server, "echo", context("alice", tokens), message="one") == "Echo: one"
        await asyncio.to_thread(everything.stop)
        await asyncio.to_thread(everything.start)
        assert await call(server, "echo", context("alice", tokens), message="two") == "Echo: two"


async def test_a_call_in_progress_ends_although_the_token_changes(calls: Calls) -> None:
    tokens, accepted = Tokens({"alice": "old"}), {"old", "new"}
    async with personal(calls, accepted) as server:
        await call(server, "whoami", context("alice", tokens))
        first = [asyncio.create_task(call(server, "whoami", context("alice", tokens))) for _ in range(5)]
        await asyncio.sleep(0)
        tokens.held["alice"] = "new"
        second = await call(server, "whoami", context("alice", tokens))
        assert {json.loads(answer)["token"] for answer in await asyncio.gather(*first)} <= {"old", "new"}
        assert json.loads(second)["token"] == "new"


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
