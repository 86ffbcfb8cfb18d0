"""What ChatKit shows to people whom the agent does not answer."""

import asyncio
import re
from pathlib import Path

import pytest
from support.channels.chatkit import answers, serving

from gateway import Agent, SettingError
from gateway.access.entries import AccessList, Entry, Kind
from gateway.access.pairing import ADMITTED, NOT_ADMITTED, AccessRequests
from gateway.storage.connect import connect
from interfaces.chatkit import ChatKit
from interfaces.chatkit.server import REFUSED


async def approve(url: str, code: str) -> None:
    database = connect(url)
    await database.open_alongside()
    await AccessRequests(database).approve(code)
    await database.close()


async def allow_workspace(url: str, tenant: str) -> None:
    database = connect(url)
    await database.open_alongside()
    await AccessList(database).allow(Entry("chatkit", tenant, Kind.WORKSPACE, ""))
    await database.close()


def test_a_stranger_sees_a_code_in_the_thread_and_is_answered_there_once_it_is_approved(
    heard: Agent, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/chatkit.db"
    with serving(heard, tmp_path, access="pairing") as page:
        alice = page("alice")
        thread, events = alice.begin("my secret plan")
        (told,) = answers(events)
        upload = alice.request("attachments.create", name="a.txt", size=1, mime_type="text/plain")
        assert upload.status_code == 403
        again = alice.write(thread, "my secret plan")
        assert [event.message for event in again if event.type == "notice"] == [REFUSED]
        assert answers(again) == []
        asyncio.run(approve(url, re.findall(r"\b[A-Z2-9]{6}\b", told)[0]))
        assert "heard: hello" in answers(alice.write(thread, "hello"))
        assert [text for _, text in alice.said(thread)] == [told, ADMITTED, "hello", "heard: hello"]
    assert all(b"secret plan" not in path.read_bytes() for path in tmp_path.glob("chatkit.db*"))


def test_only_the_workspaces_on_the_list_are_answered(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path, access="allowlist") as page:
        asyncio.run(allow_workspace(f"sqlite:///{tmp_path}/chatkit.db", "customer"))
        assert answers(page("alice@customer").begin("hello")[1]) == ["heard: hello"]
        assert answers(page("alice@other").begin("hello")[1]) == [NOT_ADMITTED]


def test_who_reaches_the_limit_sees_until_when(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path, settings={"turns_per_day": 1}) as page:
        alice = page("alice")
        thread, events = alice.begin("one")
        assert answers(events) == ["heard: one"]
        (told,) = answers(alice.write(thread, "two"))
        assert "1 message a day" in told
        again = alice.write(thread, "three")
        assert [event.message for event in again if event.type == "notice"] == [REFUSED]
        assert [text for _, text in alice.said(thread)] == ["one", "heard: one", told]


def test_an_unknown_policy_stops_the_start() -> None:
    with pytest.raises(SettingError, match="It is open, allowlist or pairing"):
        ChatKit("support.channels.chatkit:by_header", access="closed")
