"""A turn that its person stops ends, in whichever process it runs, and no other process resumes it."""

import os
import signal

import pytest
from e2e.conftest import Serve
from e2e.served import AGENTS, Served
from peers import seed
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

SLOW_TOOL = AGENTS / "slow_tool.py"  # its tool creates the file GATE when it begins
ALICE = seed.ALICE.telegram_id
INTERRUPTED = "Stopped.\n\nI was interrupted while I used sleep"


def begin(served: Served, telegram: TelegramServer) -> None:
    """Send a message and wait until its tool runs."""
    telegram.deliver(updates.private_message("sleep"))
    wait_until(served.gate.exists, what="the tool runs")
    served.gate.unlink()


def stop(telegram: TelegramServer) -> None:
    assert telegram.deliver(updates.command("stop")).status_code == 200


def test_a_turn_that_a_worker_plays_is_stopped(
    serve: Serve, telegram: TelegramServer, postgres: PostgresServer
) -> None:
    served = serve(SLOW_TOOL, UNDERSTUDY_DATABASE_URL=postgres.make())
    served.work()
    begin(served, telegram)
    stop(telegram)
    (said,) = wait_until(lambda: telegram.said(ALICE), what="the turn has ended")
    assert said.startswith(INTERRUPTED)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_turn_whose_process_is_killed_after_the_stop_is_not_resumed(
    serve: Serve, telegram: TelegramServer, postgres: PostgresServer, kind: str
) -> None:
    is_shared = kind == "postgresql"
    env = {"UNDERSTUDY_DATABASE_URL": postgres.make(), "UNDERSTUDY_TAKEOVER_SECONDS": "2"} if is_shared else {}
    served = serve(SLOW_TOOL, **env)
    worker = served.work() if is_shared else None
    begin(served, telegram)
    if worker is not None:
        os.kill(worker, signal.SIGSTOP)  # the worker does not learn of the stop
    stop(telegram)
    if worker is None:
        served.kill()
        served.start()
    else:
        served.kill_worker(worker)
        served.work()
    (said,) = wait_until(lambda: telegram.said(ALICE), 25, "the turn has ended")
    assert said.startswith(INTERRUPTED)
    assert not served.gate.exists()
