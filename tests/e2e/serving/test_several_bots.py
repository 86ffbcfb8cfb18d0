"""`understudy serve` with two Telegram bots: each answers for itself, also after the process was killed."""

from collections.abc import Iterator

import pytest
from e2e.conftest import Serve
from e2e.served import AGENTS
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

TWO_BOTS = AGENTS / "two_bots.py"
ALICE = seed.ALICE.telegram_id
SENT = "SELECT count(*) FROM outbox WHERE status = 'sent'"


@pytest.fixture
def support() -> Iterator[TelegramServer]:
    """Telegram's Bot API for the second bot."""
    with TelegramServer() as server:
        server.token = "2000000:second-telegram-token"
        yield server


@pytest.mark.parametrize("base_url", ["", None], ids=["polling", "webhooks"])
def test_two_bots_of_one_process_answer_the_same_person_each_for_itself(
    serve: Serve, telegram: TelegramServer, support: TelegramServer, base_url: str | None
) -> None:
    address = {} if base_url is None else {"UNDERSTUDY_BASE_URL": base_url, "TELEGRAM_WEBHOOK_SECRET": ""}
    env = {"TELEGRAM_SUPPORT_BOT_TOKEN": support.token, "TELEGRAM_SUPPORT_API_URL": support.url}
    served = serve(TWO_BOTS, **env, **address)
    for text in ("one", "two"):
        telegram.send(updates.private_message(f"{text} to sales", seed.ALICE))
        support.send(updates.private_message(f"{text} to support", seed.ALICE))
        if text == "one":
            wait_until(lambda: served.rows(SENT) == [(2,)], what="both have answered, and the answers are stored")
            served.kill()
            served.start()
    wait_until(
        lambda: len(telegram.said(ALICE)) == 2 and len(support.said(ALICE)) == 2, what="both have answered twice"
    )
    for bot, name in ((telegram, "sales"), (support, "support")):
        first = f"one to {name}"
        assert bot.said(ALICE) == [f"{name} heard: {first}", f"{name} heard: {first} | two to {name}"]
