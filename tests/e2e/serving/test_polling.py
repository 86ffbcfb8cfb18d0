"""Telegram is polled by real processes that are killed, suspended and switched, and no message is lost or doubled."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, link_in
from e2e.served import AGENTS, ROOT, Served
from peers import aimock as scripted
from peers import seed
from peers.aimock import Aimock
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from support.consent.pages import code_on

HELD_MODEL = AGENTS / "held_model.py"
NO_ADDRESS = {"UNDERSTUDY_BASE_URL": "", "TELEGRAM_WEBHOOK_SECRET": ""}
POLLS = "this process reads the updates of the bot"  # in the log
ALICE = seed.ALICE.telegram_id
PEOPLE = (seed.ALICE, seed.BOB, seed.CAROL)
GAP = 0.4  # seconds between two messages: answers in one chat are a second apart, as Telegram asks


@pytest.fixture
def gateways(tmp_path: Path, emulate: Emulate, telegram: TelegramServer) -> Iterator[Callable[..., Served]]:
    """Yield a function that starts one of several gateways, each with a log of its own. Stop them after the test."""
    started: list[Served] = []
    (tmp_path / "gate").touch()

    def start(**env: str) -> Served:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        served = Served(HELD_MODEL, directory, emulate, telegram, GATE=str(tmp_path / "gate"), **env)
        started.append(served)
        served.start()
        return served

    yield start
    for served in started:
        served.stop()


class Load:
    """Messages of several people, which keep coming."""

    def __init__(self, telegram: TelegramServer) -> None:
        self._telegram = telegram
        self._over = threading.Event()
        self.sent: list[str] = []

    def wait_for(self, count: int) -> None:
        """Wait until `count` more messages of each person were sent."""
        wanted = len(self.sent) + count
        wait_until(lambda: len(self.sent) >= wanted, what="more messages")

    def send(self) -> None:
        while not self._over.wait(GAP):
            text = f"message {len(self.sent)}"
            for person in PEOPLE:
                self._telegram.send(updates.private_message(text, person))
            self.sent.append(text)

    def end(self) -> None:
        self._over.set()

    def check(self) -> None:
        """Check that each message was answered once, and those of a person in order."""
        answers = [f"heard: {text}" for text in self.sent]
        for person in PEOPLE:
            said = partial(self._telegram.said, person.telegram_id)
            wait_until(lambda said=said: len(said()) >= len(answers), 60, f"{person.name} is answered")
            assert said() == answers


@contextmanager
def load(telegram: TelegramServer) -> Iterator[Load]:
    """Send messages during the block, and check the answers after it."""
    messages = Load(telegram)
    thread = threading.Thread(target=messages.send)
    thread.start()
    try:
        yield messages
    finally:
        messages.end()
        thread.join()
    messages.check()


def answered(telegram: TelegramServer, *texts: str, timeout: float = 30.0) -> None:
    answers = [f"heard: {text}" for text in texts]
    wait_until(lambda: telegram.said(ALICE) == answers, timeout, f"{texts} are answered")


def test_the_recipe_answers_and_signs_people_in_without_a_public_address(
    serve: Serve, emulate: Emulate, telegram: TelegramServer, aimock: Aimock
) -> None:
    aimock.load(
        [
            scripted.calls_tool("new in my mail", "search_messages", {"limit": 5}, hasToolResult=False),
            scripted.says("new in my mail", "You have **three** mails.", hasToolResult=True),
        ]
    )
    served = serve(
        ROOT / "cookbook" / "telegram" / "gmail_agent.py",
        UNDERSTUDY_MODEL="openai-chat:gpt-5.2",
        OPENAI_API_KEY="none",
        OPENAI_BASE_URL=aimock.base_url,
        **NO_ADDRESS,
    )
    local = f"http://localhost:{served.url.rpartition(':')[2]}"
    emulate.connect([f"{local}/oauth/google/callback"], f"{local}/slack/events", f"{local}/whatsapp/webhook")
    alice = CHANNELS["telegram"](seed.ALICE, emulate, telegram)
    telegram.send(updates.private_message("What is new in my mail?"))
    asked = str(wait_until(lambda: next((text for text in alice.seen() if "/sign-in/" in text), None)))
    assert link_in(asked).startswith(f"{local}/sign-in/")
    page = emulate.consent(link_in(asked), seed.ALICE.email)
    telegram.send(updates.private_message(code_on(page.text)))
    wait_until(lambda: "three" in alice.seen()[-1], what="alice is answered")
    assert seed.ALICE.marker("MAIL", 1) in str(aimock.requests()[-1])
    assert telegram.called("setWebhook") == []
    assert served.stop() == 0
    assert "telegram   (polls Telegram)" in served.output()
    assert "only people on this machine can sign in" in served.output()


def test_an_update_whose_process_is_killed_before_it_confirms_it_is_answered_once(
    serve: Serve, telegram: TelegramServer
) -> None:
    served = serve(HELD_MODEL, **NO_ADDRESS)
    served.gate.touch()
    wait_until(lambda: telegram.api.pending.is_polled, what="Telegram is polled")
    telegram.fail("getUpdates", 502, times=1000)  # from the next call on, which would confirm the update
    telegram.send(updates.private_message("one"))
    answered(telegram, "one")
    sent = "SELECT count(*) FROM outbox WHERE status = 'sent'"
    wait_until(lambda: served.rows(sent) == [(1,)], what="the answer is stored as sent")  # or it would be sent again
    served.kill()
    assert len(telegram.api.pending) == 1
    telegram.heal()
    served.start()
    telegram.send(updates.private_message("two"))
    answered(telegram, "one", "two")
    wait_until(lambda: len(telegram.api.pending) == 0, what="both are confirmed")
    assert served.rows("SELECT count(*) FROM inbox") == [(2,)]


def test_another_process_takes_over_when_the_one_that_polls_is_killed(
    gateways: Callable[..., Served], telegram: TelegramServer, postgres: PostgresServer
) -> None:
    env = {"UNDERSTUDY_DATABASE_URL": postgres.make(), "UNDERSTUDY_TAKEOVER_SECONDS": "2", **NO_ADDRESS}
    first, second = gateways(**env), gateways(**env)
    second.work()
    wait_until(lambda: POLLS in first.output(), what="the first process polls")
    assert POLLS not in second.output()
    with load(telegram) as messages:
        messages.wait_for(5)
        first.kill()
        messages.wait_for(5)
        wait_until(lambda: POLLS in second.output(), what="the second process polls")
        messages.wait_for(5)


def test_a_process_that_hangs_while_it_polls_is_replaced_and_takes_nothing_twice(
    gateways: Callable[..., Served], telegram: TelegramServer, postgres: PostgresServer
) -> None:
    env = {"UNDERSTUDY_DATABASE_URL": postgres.make(), "UNDERSTUDY_TAKEOVER_SECONDS": "2", **NO_ADDRESS}
    first = gateways(**env)
    wait_until(lambda: POLLS in first.output(), what="the first process polls")
    second = gateways(**env)
    second.work()
    with load(telegram) as messages:
        messages.wait_for(5)
        os.kill(first.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: POLLS in second.output(), what="the second process polls")
            messages.wait_for(5)
        finally:
            os.kill(first.pid, signal.SIGCONT)
        wait_until(lambda: "this process lost the lease" in first.output(), what="the first process gives up")
        messages.wait_for(5)


def test_a_gateway_is_switched_between_the_webhook_and_polling_under_load(
    serve: Serve, telegram: TelegramServer, tmp_path: Path
) -> None:
    (tmp_path / "gate").touch()
    served = serve(HELD_MODEL)
    with load(telegram) as messages:
        messages.wait_for(5)
        assert served.stop() == 0
        served = serve(HELD_MODEL, **NO_ADDRESS)
        messages.wait_for(5)
        assert served.stop() == 0
        serve(HELD_MODEL)
        messages.wait_for(5)
    assert [bool(call["url"]) for call in telegram.called("setWebhook")] == [True, True]
    assert len(telegram.called("deleteWebhook")) == 1


def test_gateways_are_replaced_by_others_with_a_webhook_or_without_one_while_both_run(
    gateways: Callable[..., Served], telegram: TelegramServer, postgres: PostgresServer
) -> None:
    env = {"UNDERSTUDY_DATABASE_URL": postgres.make()}
    polling = gateways(**env, **NO_ADDRESS)
    polling.work()
    with load(telegram) as messages:
        messages.wait_for(5)
        webhook = gateways(**env)
        wait_until(lambda: "another program takes the updates of the bot" in polling.output(), what="the conflict")
        messages.wait_for(5)
        later = gateways(**env, **NO_ADDRESS)
        messages.wait_for(5)
        assert webhook.stop() == 0
        messages.wait_for(5)
    assert telegram.api.webhook["url"] == ""
    assert later.stop() == 0
