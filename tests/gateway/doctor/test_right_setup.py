"""What `understudy doctor` says of a set-up in which nothing is wrong, and that it changes nothing."""

from pathlib import Path

import pytest
from peers.emulate.server import Emulate
from peers.process import free_ports
from peers.serving import Receiver
from peers.telegram.server import TelegramServer

from gateway.channels.diagnosis import Finding, Mark
from gateway.configuration.loader import load_gateway
from gateway.doctor import examine, load_set_up

pytestmark = pytest.mark.usefixtures("environment")


def shown(findings: list[Finding], subject: str) -> str:
    """Return the mark and the text of the only finding about a subject."""
    (found,) = [each for each in findings if each.subject == subject]
    return f"{found.mark}: {found.text}"


async def test_every_check_of_a_right_set_up_is_ok(receiver: Receiver, telegram: TelegramServer) -> None:
    findings = await examine(load_set_up("bot.py"), asks_model=True)
    telegram_webhook = shown(findings, "telegram webhook")
    assert telegram_webhook.startswith("warning: The bot has no webhook yet"), "the gateway was not started"
    public = shown(findings, "public address")
    assert public.startswith("warning: UNDERSTUDY_BASE_URL is http://127.0.0.1"), "it is of this machine"
    assert [
        each for each in findings if each.mark is not Mark.OK and each.subject[:6] not in ("telegr", "public")
    ] == []
    assert shown(findings, "slack bot token") == "ok: Slack takes it, as understudy in Acme."
    assert shown(findings, "slack scopes") == "ok: The app has all that it needs."
    assert shown(findings, "slack addresses").endswith(f"{receiver.url}/slack/events.")
    assert shown(findings, "telegram bot token").startswith("ok: Telegram takes it, as @")
    assert shown(findings, "whatsapp webhook") == f"ok: Twilio calls {receiver.url}/whatsapp/webhook."
    assert f"{receiver.url}/oauth/google/callback" in shown(findings, "google redirect URI")
    assert shown(findings, "model test") == "ok: It answers."
    assert {each.subject for each in findings if "clock" in each.subject} == {
        "slack clock",
        "telegram clock",
        "whatsapp clock",
    }


async def test_nothing_is_changed(tmp_path: Path, telegram: TelegramServer, emulate: Emulate) -> None:
    before = emulate.twilio_senders()
    await examine(load_set_up("bot.py"))
    assert list(tmp_path.glob("*.db*")) == []
    assert telegram.called("setWebhook") == []
    assert emulate.twilio_senders() == before


async def test_after_a_start_the_webhook_and_the_database_are_ok() -> None:
    async with load_gateway("bot.py").lifespan():
        findings = await examine(load_set_up("bot.py"))
    assert shown(findings, "telegram webhook").startswith("ok: Telegram delivers updates to")
    assert shown(findings, "secret key") == "ok: It opens what is stored."
    assert [each.text for each in findings if each.subject == "database"] == [
        "It can be opened, and its tables are up to date."
    ]


async def test_without_a_file_the_channels_of_the_environment_are_checked() -> None:
    findings = await examine(load_set_up(None))
    subjects = {each.subject for each in findings}
    assert {"slack bot token", "telegram bot token", "whatsapp account"} <= subjects
    assert [each for each in findings if each.mark is Mark.PROBLEM] == []


async def test_a_free_port_and_the_port_of_the_running_gateway_are_ok(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_BASE_URL")
    set_up, port = load_set_up("bot.py"), int(receiver.url.rpartition(":")[2])
    running = await examine(set_up, listens=("127.0.0.1", port))
    assert shown(running, "port") == f"ok: The gateway listens on {port}."
    (free,) = free_ports(1)
    findings = await examine(set_up, listens=("127.0.0.1", free))
    assert shown(findings, "port") == f"ok: {free} is free."
    assert f"http://localhost:{free}/oauth/google/callback" in shown(findings, "google redirect URI")
