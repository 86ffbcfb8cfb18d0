"""The parts of an answer arrive in order on WhatsApp, although processes are killed while one waits for another."""

from e2e.conftest import Serve
from e2e.served import AGENTS
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from peers.wait import wait_until
from sqlalchemy import create_engine, text

ECHO = AGENTS / "echo_whatsapp.py"
THREE_PARTS = " ".join(str(number) for number in range(1000))  # WhatsApp takes 1,600 characters in a message


def said(emulate: Emulate, count: int) -> list[str]:
    wait_until(lambda: len(emulate.whatsapp_messages("alice")) >= count, 30, f"the bot has sent {count} messages")
    return [message["body"] for message in emulate.whatsapp_messages("alice")]


def wait_until_one_waits(url: str) -> None:
    """Wait until a part waits for the report that the one before it was sent."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))

    def waits() -> bool:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT count(*) FROM outbox WHERE status = 'retrying'"))
            return bool(found.scalar_one() == 1)

    wait_until(waits, 30, "a part waits for the one before it")
    engine.dispose()


def report(emulate: Emulate, status: str) -> None:
    emulate.whatsapp_status(emulate.whatsapp_messages("alice")[-1]["sid"], status)


def test_parts_follow_the_reports_of_twilio(serve: Serve, emulate: Emulate) -> None:
    emulate.whatsapp_reports("sent", "read", "delivered", early=True)
    served = serve(ECHO)
    emulate.whatsapp_post("alice", THREE_PARTS)
    assert " ".join(said(emulate, 3)) == THREE_PARTS
    stored = "SELECT count(*) FROM outbox WHERE status = 'sent' AND delivery_status = 'read'"
    wait_until(lambda: served.rows(stored) == [(3,)], 30, "all parts are read")


def test_the_next_process_continues_when_one_is_killed_while_a_part_waits(serve: Serve, emulate: Emulate) -> None:
    emulate.whatsapp_reports()
    served = serve(ECHO)
    emulate.whatsapp_post("alice", THREE_PARTS)
    for _ in range(2):
        wait_until_one_waits(f"sqlite:///{served.database}")
        served.kill()
        served.start()
        report(emulate, "sent")
    assert " ".join(said(emulate, 3)) == THREE_PARTS


def test_another_worker_continues_when_one_is_killed_while_a_part_waits(
    serve: Serve, emulate: Emulate, postgres: PostgresServer
) -> None:
    emulate.whatsapp_reports()
    url = postgres.make()
    served = serve(ECHO, UNDERSTUDY_DATABASE_URL=url, UNDERSTUDY_TAKEOVER_SECONDS="2")
    worker = served.work()
    emulate.whatsapp_post("alice", THREE_PARTS)
    for _ in range(2):
        wait_until_one_waits(url)
        served.kill_worker(worker)
        worker = served.work()
        report(emulate, "sent")
    assert " ".join(said(emulate, 3)) == THREE_PARTS
