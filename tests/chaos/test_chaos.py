"""No accepted message is lost, whichever process is killed.

`make chaos` runs longer. CHAOS_SECONDS sets the length of a run, and CHAOS_SEED its random choices.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos.cluster import Cluster
from chaos.scenario import Scenario
from e2e.served import platform_environment
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from peers.telegram.server import TelegramServer

SECONDS = float(os.environ.get("CHAOS_SECONDS", "6"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
KILL_EVERY = 4.0  # seconds; a long answer takes two
TAKEOVER = "2"  # seconds


def run(
    directory: Path,
    database: str,
    emulate: Emulate,
    telegram: TelegramServer,
    webs: int,
    workers: int,
    restart: Callable[[], None] | None = None,
) -> None:
    trace = directory / "trace.txt"
    env = {
        "CHAOS_TRACE": str(trace),
        "UNDERSTUDY_DATABASE_URL": database,
        "UNDERSTUDY_TAKEOVER_SECONDS": TAKEOVER,
        "UNDERSTUDY_TURN_TRIES": "50",  # each kill uses up a try of the turns that it interrupts
        **platform_environment(emulate, telegram),
    }
    cluster = Cluster(directory, env, webs, workers)
    env["UNDERSTUDY_BASE_URL"] = cluster.urls[0]
    cluster.start()
    telegram.limit()
    emulate.slack_limit()
    try:
        scenario = Scenario(
            cluster,
            emulate,
            telegram,
            database,
            trace,
            seconds=SECONDS,
            kill_every=KILL_EVERY,
            seed=SEED,
            restart_database=restart,
        )
        report = scenario.run()
    except BaseException as error:
        error.add_note(cluster.output())
        raise
    finally:
        statuses = cluster.stop()
    print(f"\n{directory.name}: {report}")
    assert report.wrong == []
    assert report.answered == report.accepted > 0
    assert report.killed > 0
    assert set(statuses) == {0}


@pytest.mark.timeout(SECONDS + 300)
def test_on_sqlite_every_message_is_answered_once_in_order(
    tmp_path: Path, emulate: Emulate, telegram: TelegramServer
) -> None:
    run(tmp_path, f"sqlite:///{tmp_path}/chaos.db", emulate, telegram, webs=1, workers=0)


@pytest.mark.timeout(SECONDS + 300)
def test_on_postgresql_with_many_processes_every_message_is_answered_once_in_order(
    tmp_path: Path, emulate: Emulate, telegram: TelegramServer
) -> None:
    with PostgresServer() as postgres:  # its own server, since the test restarts it
        run(tmp_path, postgres.make(), emulate, telegram, webs=2, workers=3, restart=postgres.restart)
