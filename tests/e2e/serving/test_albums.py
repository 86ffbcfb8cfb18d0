"""An album is answered once, although processes are killed while its photos arrive."""

from e2e.conftest import Serve
from e2e.served import AGENTS
from peers import seed
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

ALICE = seed.ALICE.telegram_id


def deliver(telegram: TelegramServer, update: dict[str, object]) -> None:
    assert telegram.deliver(update).status_code == 200


def assert_one_answer_to_each(telegram: TelegramServer) -> None:
    wait_until(lambda: len(telegram.said(ALICE)) == 2, 30, "the album and the text are answered")
    album, text = telegram.said(ALICE)
    assert "look" in album
    assert text == "heard: after"


def test_an_album_is_answered_once_though_the_process_is_killed_between_its_photos(
    serve: Serve, telegram: TelegramServer
) -> None:
    served = serve(AGENTS / "held_model.py")
    served.gate.touch()
    album = updates.album(None, "look", None)
    deliver(telegram, album[0])
    for update in (*album[1:], updates.private_message("after")):
        served.kill()
        served.start()
        deliver(telegram, update)
    assert_one_answer_to_each(telegram)
    assert served.rows("SELECT count(*) FROM pieces") == [(2,)]


def test_an_album_is_answered_once_though_workers_are_killed_between_its_photos(
    serve: Serve, telegram: TelegramServer, postgres: PostgresServer
) -> None:
    served = serve(AGENTS / "held_model.py", UNDERSTUDY_DATABASE_URL=postgres.make(), UNDERSTUDY_TAKEOVER_SECONDS="2")
    served.gate.touch()
    workers = [served.work(), served.work()]
    first, *others = updates.album("look", None, None)
    deliver(telegram, first)
    served.kill_worker(workers.pop())
    for update in others:
        deliver(telegram, update)
    deliver(telegram, updates.private_message("after"))
    assert_one_answer_to_each(telegram)
