"""What `understudy doctor` says of the stored tokens of a Slack app that many workspaces have installed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers.serving import Received, Receiver
from starlette.responses import JSONResponse, Response

from gateway.configuration.loader import load_gateway
from gateway.doctor import examine, load_set_up
from interfaces.slack.app.features import AppFeatures
from oauth import Keyring
from oauth.store.installations import Installation, InstallationStore

BOT = """
from gateway import Agent, Gateway
from interfaces.slack import Slack

gateway = Gateway(Agent(model="test"), interfaces=[Slack()])
"""
PAST = datetime.now(UTC) - timedelta(hours=1)
TEAMS = {"xoxb-acme": "Acme", "xoxb-bare": "Bare"}  # all other tokens are rejected
SCOPES = AppFeatures(many_workspaces=True).scopes


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Receiver:
    """An app for many workspaces. A receiver is Slack and the gateway's public address."""

    def answer(received: Received) -> Response:
        token = received.headers.get("authorization", "").removeprefix("Bearer ")
        if not received.path.endswith("auth.test"):
            return JSONResponse({"ok": True, "status": "ok"})
        if token not in TEAMS:
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        granted = SCOPES if token == "xoxb-acme" else SCOPES[1:]
        return JSONResponse(
            {"ok": True, "user": "understudy", "team": TEAMS[token]}, headers={"X-OAuth-Scopes": ",".join(granted)}
        )

    receiver.answer = answer
    settings = {
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "secret",
        "SLACK_SIGNING_SECRET": "signing",
        "SLACK_API_URL": f"{receiver.url}/api",
        "UNDERSTUDY_BASE_URL": receiver.url,
        "UNDERSTUDY_SECRET_KEY": Keyring.generate(),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.py").write_text(BOT)
    return receiver


async def test_each_stored_token_is_tried(set_up: Receiver) -> None:
    gateway = load_gateway("bot.py")
    async with gateway.lifespan():
        store = gateway.host.installations
        for installation in (
            Installation("slack", "T1", "xoxb-acme", "U1"),
            Installation("slack", "T2", "xoxb-gone", "U1"),
            Installation("slack", "T3", "xoxb-bare", "U1"),
            Installation("slack", "T4", "xoxb-old", "U1", "xoxe-1", PAST),
            Installation("slack", "T5", "xoxb-old", "U1", "xoxe-1", PAST, problem="invalid_refresh_token"),
        ):
            await store.save(installation)
        await store.save_member("slack", "T6", "T1")
        other_key = InstallationStore(gateway.parts.backend.database, Keyring.parse(Keyring.generate()))
        await other_key.save(Installation("slack", "T7", "xoxb-acme", "U1"))
        calls = len(set_up.requests)
        findings = await examine(load_set_up("bot.py"))
    again = f"have the workspace install the app again at {set_up.url}/slack/install."
    assert {each.subject.removeprefix("slack workspace "): f"{each.mark}: {each.text}" for each in findings
            if each.subject.startswith("slack workspace")} == {
        "T1": "ok: Slack takes it, as understudy in Acme.",
        "T1 scopes": "ok: The app has all that it needs.",
        "T2": f"problem: Slack rejects its token (invalid_auth): {again}",
        "T3": "ok: Slack takes it, as understudy in Bare.",
        "T3 scopes": f"problem: The app lacks {SCOPES[0]}: {again}",
        "T4": "ok: Its token has expired. The gateway gets the next one with the next message.",
        "T5": f"problem: Slack issues no new token for it (invalid_refresh_token): {again}",
        "T7": f"problem: UNDERSTUDY_SECRET_KEY does not open its token: add the former key, or {again}",
    }  # fmt: skip
    assert not [each for each in set_up.requests[calls:] if each.path.endswith("oauth.v2.access")], "none is renewed"
    assert "xoxb" not in str(findings)


async def test_an_app_without_workspaces_is_told_where_they_install_it(set_up: Receiver) -> None:
    async with load_gateway("bot.py").lifespan():
        findings = await examine(load_set_up("bot.py"))
    (found,) = [each for each in findings if each.subject == "slack workspaces"]
    assert found.text == f"None has installed the app yet: open {set_up.url}/slack/install."
