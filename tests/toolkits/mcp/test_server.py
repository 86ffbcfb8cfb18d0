"""Servers, as an operator configures them."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from peers.mcp_servers import Calls
from support.stage import FakeProvider
from support.turns.mcp import Tokens, call, context, opened, personal

from oauth import ConsentRequiredError, SettingError
from toolkits import ToolError
from toolkits.mcp import MCPServer
from toolkits.mcp.timings import MCPTimings


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


async def test_a_tool_is_labelled_with_its_title_or_its_name(telling: str) -> None:
    async with opened(MCPServer(telling)) as server:
        labels = {each.name: each.label for each in server.shared_tools}
    assert (labels["whoami"], labels["linger"]) == ("Asking who you are", "Linger")


@pytest.mark.processes
async def test_a_server_that_cannot_be_reached_stops_the_start() -> None:
    for server in (
        MCPServer("http://127.0.0.1:9/mcp", timings=MCPTimings(start=1)),
        MCPServer(["no-such-command-anywhere"]),
    ):
        with pytest.raises(SettingError, match="could not be started or reached"):
            await server.start()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(SettingError, match=r"'sleeper'.*did not answer within"):
        await MCPServer(command, name="sleeper", timings=MCPTimings(start=0.5)).start()


@pytest.mark.processes
async def test_a_server_from_pypi_works(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"]
    async with opened(MCPServer(command)) as server:
        assert "UTC" in await call(server, "get_current_time", context("alice"), timezone="UTC")


async def test_a_person_who_has_not_connected_an_account_is_asked_to(calls: Calls) -> None:
    tokens = Tokens()
    async with personal(calls, {"token-alice"}) as server:
        (tool,) = await server.tools(context("alice", tokens))
        assert tool.name == "connect_vault_1"
        with pytest.raises(ConsentRequiredError):
            await tool.call({}, context("alice", tokens))
        tokens.held["alice"] = "token-alice"
        assert "whoami" in [each.name for each in await server.tools(context("alice", tokens))]
    assert set(calls.tokens) == {"token-alice"}


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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("example.com/mcp",), "not the address"),
        (("https://me:pw@example.com/mcp",), "password"),
        (([],), "command"),
    ],
)
def test_invalid_arguments_of_a_server_are_refused(arguments: tuple[Any], named: str) -> None:
    with pytest.raises(SettingError, match=named) as refused:
        MCPServer(*arguments)
    assert "pw" not in str(refused.value)


def test_peoples_tokens_are_not_sent_unencrypted() -> None:
    with pytest.raises(SettingError, match="unencrypted"):
        MCPServer("http://example.com/mcp", auth=FakeProvider())
    with pytest.raises(SettingError, match="is a command"):
        MCPServer(["server"], auth=FakeProvider())
