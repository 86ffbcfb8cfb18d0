"""Behaviour that Google's toolkits have in common, against a third-party stand-in."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_type_hints

import pytest
import trustme
from peers import seed
from peers.emulate.server import Emulate
from pydantic import TypeAdapter
from support.turns.google import OneToken, turn_of

from gateway import Agent, TurnContext
from oauth import SettingError, Token
from oauth.google import GoogleAuth
from toolkits import ToolError
from toolkits.google import Calendar, Drive, Gmail

TESTS = Path(__file__).parents[2]


def test_the_results_of_the_tools_have_types_that_pydantic_knows(google: GoogleAuth) -> None:
    """Check each result type. With an unknown type, each start warns, and the model learns nothing about the result."""
    tools = [tool for kit in (Gmail, Calendar, Drive) for tool in kit(google).functions.values()]
    assert len(tools) == 25
    for tool in tools:
        TypeAdapter(get_type_hints(tool.definition.function)["return"])


async def test_a_missing_item_or_one_of_another_person_is_told_in_a_sentence(
    google: GoogleAuth, context: TurnContext
) -> None:
    bobs = f"{seed.BOB.name}-mail-1"
    for identifier in ("nothing", bobs):
        with pytest.raises(ToolError, match="The user has no message with that id"):
            await Gmail(google).read_message(context, identifier)
    with pytest.raises(ToolError, match="The user has no thread with that id"):
        await Gmail(google).read_thread(context, "nothing")
    with pytest.raises(ToolError, match="The user has no event with that id"):
        await Calendar(google).get_event(context, "nothing")
    with pytest.raises(ToolError, match="The user has no file with that id"):
        await Drive(google).read_file(context, f"{seed.BOB.name}-file-1")


@pytest.mark.parametrize(
    ("status", "sentence"), [(429, "asks for a pause"), (403, "refused that"), (503, "at the moment")]
)
async def test_errors_are_told_in_plain_sentences(
    google: GoogleAuth,
    context: TurnContext,
    emulate: Emulate,
    status: int,
    sentence: str,
) -> None:
    emulate.google.fail("/gmail/v1/users/me/labels", status, body={"error": {"code": status, "message": "no"}})
    with pytest.raises(ToolError, match=sentence) as raised:
        await Gmail(google, retries=0).list_labels(context)
    assert "http" not in str(raised.value)


async def test_a_call_that_google_may_have_carried_out_is_not_tried_again(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    emulate.google.fail("/gmail/v1/users/me/messages/send", 503, body={"error": {"code": 503, "message": "no"}})
    with pytest.raises(ToolError, match="not known whether that was done"):
        await Gmail(google).send_message(context, ["bob@example.com"], "s", "b")
    assert len(emulate.google.calls("/messages/send")) == 1


def test_only_the_scopes_that_the_tools_need_are_asked_for(google: GoogleAuth) -> None:
    for kind in (Gmail, Calendar, Drive):
        whole, reading = kind(google), kind(google, read_only=True)
        assert reading.scopes < whole.scopes
        assert all("readonly" in scope or "freebusy" in scope for scope in reading.scopes)
        assert all(function.definition.read_only for function in reading.functions.values())
        asking = [function for function in whole.functions.values() if not function.definition.read_only]
        assert asking
        assert all(function.needs_approval for function in asking)


def test_auto_approve_names_only_existing_tools(google: GoogleAuth) -> None:
    gmail = Gmail(google, auto_approve=["archive_messages"])
    assert not gmail.functions["archive_messages"].needs_approval
    assert not gmail.clone().functions["archive_messages"].needs_approval
    with pytest.raises(SettingError, match="auto_approve='archive', but no tool of that name"):
        Agent(model="test", toolkits=[Gmail(google, auto_approve=["archive"])]).check()


@asynccontextmanager
async def labels_over_tls(authority: trustme.CA) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve a person's labels over TLS, and yield the URL and a list to which each request is added."""
    context, asked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[bytes]()
    authority.issue_cert("localhost").configure_cert(context)
    body = json.dumps({"labels": [{"id": "INBOX", "name": "INBOX", "type": "system"}]}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "localhost", 0, ssl=context) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", asked


async def list_labels(address: str) -> str:
    """List the labels of a person at the stand-in for Google at this URL."""
    google = GoogleAuth("id", "secret", address)
    token = Token("a", "r", datetime.now(UTC) + timedelta(hours=1), frozenset(), "alice@example.com")
    return str(await Gmail(google, retries=0).list_labels(turn_of(OneToken(google, token))))


async def test_a_server_with_an_unknown_certificate_is_refused() -> None:
    async with labels_over_tls(trustme.CA()) as (address, asked):
        with pytest.raises(ssl.SSLCertVerificationError):
            await list_labels(address)
    assert asked == []


@pytest.mark.processes
@pytest.mark.parametrize(("host", "is_answered"), [("localhost", True), ("127.0.0.1", False)])
async def test_a_server_with_a_trusted_certificate_for_its_name_is_used(
    host: str, is_answered: bool, tmp_path: Path
) -> None:
    """Make the call in a new process, since httplib2 reads the trusted certificates when it is imported."""
    authority, program = trustme.CA(), "import asyncio, runpy, sys; module = runpy.run_path(sys.argv[1]);"
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    env = {"PYTHONPATH": str(TESTS), "HTTPLIB2_CA_CERTS": str(tmp_path / "ca.pem")}
    async with labels_over_tls(authority) as (address, asked):
        program += "print(asyncio.run(module['list_labels'](sys.argv[2])))"
        command = [sys.executable, "-c", program, __file__, address.replace("localhost", host)]
        ended = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True)
    assert ("INBOX" in ended.stdout) == is_answered, ended.stderr
    assert ("CertificateError" in ended.stderr or "CERTIFICATE_VERIFY_FAILED" in ended.stderr) == (not is_answered)
    assert [b"authorization: Bearer a" in request for request in asked] == [True] * is_answered
