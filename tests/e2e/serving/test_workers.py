"""Workers that stop and go on."""

import os
import signal

import pytest
from e2e.conftest import Serve
from e2e.served import AGENTS
from peers import seed
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

HELD_MODEL = AGENTS / "held_model.py"
ALICE = seed.ALICE.telegram_id


@pytest.mark.parametrize("forgotten", [False, True], ids=["known", "forgotten"])
def test_a_worker_that_is_stopped_in_a_turn_and_wakes_says_nothing_twice_and_works_on(
    serve: Serve, telegram: TelegramServer, postgres: PostgresServer, forgotten: bool
) -> None:
    served = serve(HELD_MODEL, UNDERSTUDY_DATABASE_URL=postgres.make(), UNDERSTUDY_TAKEOVER_SECONDS="2")
    played = served.gate.with_name("played")
    served.work()
    telegram.deliver(updates.private_message("one"))
    stopped = int(wait_until(lambda: played.exists() and played.read_text(), what="a worker plays the turn"))
    others = [served.work()]
    os.kill(stopped, signal.SIGSTOP)
    try:
        telegram.deliver(updates.private_message("two"))
        wait_until(lambda: telegram.said(ALICE) == ["heard: one", "heard: two"], 25, "the other has taken over")
        if forgotten:
            others.append(served.work())  # one that starts removes those from the list that seem dead
        served.gate.touch()
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: "another worker has taken this message over" in served.output(), what="the turn is given up")
    for other in others:
        served.kill_worker(other)
    telegram.deliver(updates.private_message("three"))
    wait_until(lambda: len(telegram.said(ALICE)) == 3, 20, "the one that woke works on")
    assert telegram.said(ALICE) == ["heard: one", "heard: two", "heard: three"]
    assert len(telegram.called("sendMessage")) == 3
    assert played.read_text().split()[-1] == str(stopped)
