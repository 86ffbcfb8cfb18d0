"""What `understudy doctor` says of a PostgreSQL database and its workers."""

import pytest
from peers.postgres import PostgresServer
from peers.wait import wait_until_async

from gateway.channels.diagnosis import Finding, Mark
from gateway.configuration.loader import load_gateway
from gateway.doctor import examine, load_set_up
from gateway.operations.presence import Presence
from gateway.storage.connect import connect


@pytest.fixture
def url(environment: None, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    url = postgres.make()
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", url)
    return url


def about(subject: str, findings: list[Finding]) -> Finding:
    (found,) = [each for each in findings if each.subject == subject]
    return found


async def test_without_a_worker_messages_wait(url: str) -> None:
    findings = await examine(load_set_up("bot.py"))
    assert about("database", findings).mark is Mark.OK
    assert about("workers", findings).mark is Mark.WARNING
    assert "understudy worker FILE" in about("workers", findings).text


async def test_a_living_worker_is_counted(url: str) -> None:
    async def is_counted() -> bool:
        found = about("workers", await examine(load_set_up("bot.py")))
        return (found.mark, found.text) == (Mark.OK, "Alive: 1.")

    async with load_gateway("bot.py").worker():  # it registers in the background
        await wait_until_async(is_counted)


async def test_too_few_connections_for_the_running_processes_are_a_warning(url: str) -> None:
    async def report(count: int) -> None:
        for _ in range(count):
            presence = Presence(database, {})
            presence.begin(takes_events=False, plays_turns=True)
            await presence.report()

    database = connect(url)
    await database.open_alongside()
    found = about("connections", await examine(load_set_up("bot.py")))
    assert found.mark is Mark.OK
    room = int(found.text.split()[-2])
    assert found.text.endswith(f"which is enough for {room} processes.")
    await report(room)
    assert about("connections", await examine(load_set_up("bot.py"))).mark is Mark.OK
    await report(1)
    found = about("connections", await examine(load_set_up("bot.py")))
    await database.close()
    assert found.mark is Mark.WARNING
    assert f"enough for {room} of {room + 1} processes" in found.text


async def test_a_database_without_tables_is_a_problem(
    environment: None, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", postgres.make(empty=True))
    found = about("database", await examine(load_set_up("bot.py")))
    assert found.mark is Mark.PROBLEM
    assert "run `understudy db upgrade`" in found.text
