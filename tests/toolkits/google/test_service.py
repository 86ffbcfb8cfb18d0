"""What Google's toolkits have in common, against a server that others wrote."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
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


def test_what_the_tools_return_can_be_described(google: GoogleAuth) -> None:
    """Pydantic has to know the type. Otherwise each start warns, and the model is told nothing about the result."""
    tools = [tool for kit in (Gmail, Calendar, Drive) for tool in kit(google).functions.values()]
    assert len(tools) == 23
    for tool in tools:
        TypeAdapter(get_type_hints(tool.definition.function)["return"])


async def test_what_is_not_there_or_somebody_elses_is_said_so_in_a_sentence(
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
async def test_errors_are_said_plainly(
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


async def test_what_google_may_have_done_is_not_tried_again(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    emulate.google.fail("/gmail/v1/users/me/messages/send", 503, body={"error": {"code": 503, "message": "no"}})
    with pytest.raises(ToolError, match="not known whether that was done"):
        await Gmail(google).send_message(context, ["bob@example.com"], "s", "b")
    assert len(emulate.google.calls("/messages/send")) == 1


def test_what_is_asked_for_is_what_the_tools_need(google: GoogleAuth) -> None:
    for kind in (Gmail, Calendar, Drive):
        whole, reading = kind(google), kind(google, read_only=True)
        assert reading.scopes < whole.scopes
        assert all("readonly" in scope or "freebusy" in scope for scope in reading.scopes)
        assert all(function.definition.read_only for function in reading.functions.values())
        asking = [function for function in whole.functions.values() if not function.definition.read_only]
        assert asking
        assert all(function.needs_approval for function in asking)


def test_a_tool_that_is_approved_beforehand_has_to_be_there(google: GoogleAuth) -> None:
    gmail = Gmail(google, auto_approve=["archive_messages"])
    assert not gmail.functions["archive_messages"].needs_approval
    assert not gmail.clone().functions["archive_messages"].needs_approval
    with pytest.raises(SettingError, match="auto_approve='archive', but no tool of that name"):
        Agent(model="test", toolkits=[Gmail(google, auto_approve=["archive"])]).check()


async def test_a_server_with_an_unknown_certificate_is_refused() -> None:
    certificate, context = trustme.CA().issue_cert("localhost"), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(answer, "localhost", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        google = GoogleAuth("id", "secret", f"https://localhost:{port}")
        source = OneToken(
            google, Token("a", "r", datetime.now(UTC) + timedelta(hours=1), frozenset(), "alice@example.com")
        )
        with pytest.raises(ssl.SSLCertVerificationError):
            await Gmail(google, retries=0).list_labels(turn_of(source))
    assert asked == []
