"""A worker that the operating system pauses and resumes, while another one takes its turn over."""

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
def test_a_worker_that_is_paused_during_a_turn_sends_nothing_twice_and_plays_later_turns(
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
        wait_until(lambda: telegram.said(ALICE) == ["heard: one", "heard: two"], 25, "the other worker has taken over")
        if forgotten:
            others.append(served.work())  # a worker that starts removes those that seem dead from the list of workers
        served.gate.touch()
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(
        lambda: "another worker has taken this message over" in served.output(),
        what="the paused worker gives the turn up",
    )
    for other in others:
        served.kill_worker(other)
    telegram.deliver(updates.private_message("three"))
    wait_until(lambda: len(telegram.said(ALICE)) == 3, 20, "the paused worker plays the next turn")
    assert telegram.said(ALICE) == ["heard: one", "heard: two", "heard: three"]
    assert len(telegram.called("sendMessage")) == 3
    assert played.read_text().split()[-1] == str(stopped)
