"""People see the phases of a flow while it runs, and only its answer afterwards."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.people import ChannelPerson
from e2e.served import AGENTS
from peers.emulate.server import Emulate
from peers.serving import ThreadServer
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from playwright.sync_api import Browser, expect

from gateway.configuration.loader import load_gateway

FLOW = AGENTS / "phased.py"
HISTORY = [("user", "tell me"), ("assistant", "<<tell me>>")]


@pytest.mark.parametrize("channel", ["slack", "telegram"])
def test_a_running_flow_shows_its_steps_in_a_message_that_is_gone_afterwards(
    channel: str, serve: Serve, telegram: TelegramServer, emulate: Emulate, alice: ChannelPerson
) -> None:
    served = serve(FLOW, CHANNEL=channel)
    served.gate.touch()
    alice.write("tell me")
    wait_until(
        lambda: any("✓ Search" in text and "… Write" in text for text in alice.shown()), what="the steps are shown"
    )
    if channel == "telegram":
        assert any(call.method == "sendChatAction" for call in telegram.calls)
    served.gate.unlink()
    wait_until(lambda: ["tell me" in text for text in alice.shown()] == [True], what="only the answer is left")
    assert served.rows("SELECT role, text FROM session_items ORDER BY id") == HISTORY


def test_the_web_chat_folds_finished_steps_and_removes_all_of_them_at_the_end(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, database = tmp_path / "gate", tmp_path / "web.db"
    gate.touch()
    monkeypatch.setenv("GATE", str(gate))
    monkeypatch.setenv("CHANNEL", "web")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", f"sqlite:///{database}")
    gateway = load_gateway(str(FLOW))
    with ThreadServer(gateway.asgi()) as server, chromium.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        with context.expect_page() as opened:
            page.get_by_role("link").first.click()
        window = opened.value
        expect(window.get_by_role("status")).to_have_text("connected")
        window.get_by_label("Your message").fill("tell me")
        window.get_by_role("button", name="Send").click()
        expect(window.locator("details.phase:not([open]) > summary")).to_have_text(re.compile(r"Search \(\d\.\d s\)"))
        expect(window.locator("details.phase[open] > summary")).to_have_text("Write")
        gate.unlink()
        expect(window.locator(".agent-said")).to_have_text("<<tell me>>")
        expect(window.locator("details")).to_have_count(0)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT role, text FROM session_items ORDER BY id").fetchall() == HISTORY
