"""A set-up in which nothing is wrong, against the stand-ins of the platforms."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peers.emulate.server import Emulate
from peers.serving import Receiver
from peers.telegram.server import BOT_TOKEN, TelegramServer
from starlette.responses import JSONResponse
from support.set_up import BOT, accept_slack_token

from oauth import Keyring


@pytest.fixture
def environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulate: Emulate, telegram: TelegramServer, receiver: Receiver
) -> Iterator[None]:
    """Set every setting of a file with all channels, write the file, and make its folder the working directory.

    The gateway is reached at its public address, where a receiver answers its health check.
    """
    receiver.answer = lambda _: JSONResponse({"status": "ok"})
    sender = "XE" + "1" * 32
    emulate.twilio_sender(sender, emulate.whatsapp_number, callback_url=f"{receiver.url}/whatsapp/webhook")
    accept_slack_token(emulate)
    settings = {
        "UNDERSTUDY_MODEL": "test",
        "UNDERSTUDY_SECRET_KEY": Keyring.generate(),
        "UNDERSTUDY_BASE_URL": receiver.url,
        "GOOGLE_CLIENT_ID": emulate.client_id,
        "GOOGLE_CLIENT_SECRET": emulate.client_secret,
        "SLACK_BOT_TOKEN": emulate.bot_token,
        "SLACK_SIGNING_SECRET": emulate.signing_secret,
        "SLACK_API_URL": emulate.slack_url,
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "TELEGRAM_API_URL": telegram.url,
        "TWILIO_ACCOUNT_SID": emulate.account_sid,
        "TWILIO_AUTH_TOKEN": emulate.auth_token,
        "TWILIO_WHATSAPP_FROM": emulate.whatsapp_number,
        "TWILIO_API_URL": emulate.twilio_url,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.py").write_text(BOT)
    yield
    emulate.slack.heal()
