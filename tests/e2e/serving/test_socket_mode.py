"""A gateway in Slack that nobody can reach from outside: its events come over Socket Mode."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from commands import run
from e2e.conftest import Serve
from e2e.people import OnSlack, sign_in
from e2e.served import AGENTS, ROOT, Served
from peers import aimock as scripted
from peers import seed
from peers.aimock import Aimock
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from peers.socket_mode.server import APP_TOKEN, Delivery, SocketModeServer
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from peers.webhooks import slack_events as events

ECHO = AGENTS / "echo_slack.py"
TWO = 2  # connections of a process


def settings(socket_mode: SocketModeServer, **env: str) -> dict[str, str]:
    """Return the settings of a gateway without a public address."""
    given = {"SLACK_APP_TOKEN": APP_TOKEN, "SLACK_API_URL": socket_mode.url, "SLACK_SIGNING_SECRET": ""}
    return {**given, "UNDERSTUDY_BASE_URL": "", **env}


@pytest.fixture
def patient(emulate: Emulate) -> SocketModeServer:
    """Slack with retries that last as long as a gateway takes to restart."""
    return SocketModeServer(emulate.slack_url, patience=2.0, retries=(0.0, 4.0, 24.0))


@pytest.fixture
def deliver(emulate: Emulate) -> Callable[[SocketModeServer, str], Delivery]:
    """Return a function that delivers a direct message of Alice."""
    channel = emulate.slack_dm("alice")
    return lambda server, text: server.deliver(events.direct_message(text, channel=channel))


def assert_answered_once(emulate: Emulate, count: int) -> None:
    """Wait until the messages `m0`, `m1` and so on are answered, and check that each is answered once."""
    channel = emulate.slack_dm("alice")
    wait_until(lambda: len(emulate.slack_said(channel)) >= count, 40, "all messages are answered")
    assert sorted(emulate.slack_said(channel)) == sorted(f"heard: m{number}" for number in range(count))


def test_a_recipe_answers_and_people_sign_in_on_this_machine_without_a_public_address(
    serve: Serve, emulate: Emulate, telegram: TelegramServer, aimock: Aimock, socket_mode: SocketModeServer
) -> None:
    aimock.load(
        [
            scripted.calls_tool("new in my mail", "search_messages", {"limit": 5}, hasToolResult=False),
            scripted.says("new in my mail", "You have **three** mails.", hasToolResult=True),
        ]
    )
    served = serve(
        ROOT / "cookbook" / "slack" / "gmail_agent.py",
        **settings(
            socket_mode, UNDERSTUDY_MODEL="openai-chat:gpt-5.2", OPENAI_API_KEY="none", OPENAI_BASE_URL=aimock.base_url
        ),
    )
    here = served.url.replace("127.0.0.1", "localhost")
    emulate.connect([f"{here}/oauth/google/callback"], socket_mode.events_url)
    alice = OnSlack(seed.ALICE, emulate, telegram)
    alice.write("What is new in my mail?")
    sign_in(alice, emulate)
    wait_until(lambda: "three" in alice.seen()[-1], what="alice is answered")
    assert seed.ALICE.marker("MAIL", 1) in str(aimock.requests()[-1])
    assert f"{here}/sign-in/" in str(alice.seen())
    assert f"Sign-in links lead to {here}" in served.output()
    assert "slack      (Socket Mode)" in served.output()
    assert httpx.post(f"{served.url}/slack/events", trust_env=False).status_code == 404


def test_an_event_whose_acknowledgement_a_kill_prevents_is_answered_once(
    serve: Serve, emulate: Emulate, patient: SocketModeServer, deliver: Callable[[SocketModeServer, str], Delivery]
) -> None:
    with patient:
        served = serve(ECHO, **settings(patient))
        patient.wait_for_connections(TWO)
        patient.silence()  # what the gateway acknowledges does not reach Slack
        delivery = deliver(patient, "hello")
        wait_until(lambda: served.rows("SELECT id FROM inbox"), what="the event is committed")
        served.kill()
        assert not delivery.is_over
        served.start()
        delivery.wait(30)
        assert len(delivery.envelopes) > 1
        last = deliver(patient, "and then")
        last.wait()
        channel = emulate.slack_dm("alice")
        wait_until(lambda: len(emulate.slack_said(channel)) >= 2, what="both messages are answered")
        assert emulate.slack_said(channel) == ["heard: hello", "heard: and then"]


def test_under_load_dropped_connections_lose_nothing_and_double_nothing(
    serve: Serve, emulate: Emulate, patient: SocketModeServer, deliver: Callable[[SocketModeServer, str], Delivery]
) -> None:
    with patient:
        serve(ECHO, **settings(patient))
        patient.wait_for_connections(TWO)
        deliveries: list[Delivery] = []
        for disturb in (patient.drop, partial(patient.disconnect, "refresh_requested"), patient.silence):
            deliveries += [deliver(patient, f"m{len(deliveries) + number}") for number in range(8)]
            disturb()
            wait_until(lambda: patient.connections > 0, what="there is a connection again")
        for delivery in deliveries:
            delivery.wait(40)
        assert_answered_once(emulate, len(deliveries))


def test_two_processes_share_an_app_and_one_takes_over_what_the_other_could_not_acknowledge(
    serve: Serve,
    emulate: Emulate,
    telegram: TelegramServer,
    patient: SocketModeServer,
    postgres: PostgresServer,
    tmp_path: Path,
    deliver: Callable[[SocketModeServer, str], Delivery],
) -> None:
    with patient:
        env = settings(patient, UNDERSTUDY_DATABASE_URL=postgres.make())
        first = serve(ECHO, **env)
        first.work()
        patient.wait_for_connections(TWO)
        (tmp_path / "second").mkdir()
        second = Served(ECHO, tmp_path / "second", emulate, telegram, **env)
        second.start()
        try:
            patient.wait_for_connections(2 * TWO)
            deliveries = [deliver(patient, f"m{number}") for number in range(20)]
            first.kill()
            for delivery in deliveries:
                delivery.wait(30)
            assert_answered_once(emulate, len(deliveries))
        finally:
            second.stop()


def test_a_process_that_stops_acknowledges_what_it_has_and_leaves_the_rest_to_the_next(
    serve: Serve, emulate: Emulate, patient: SocketModeServer, deliver: Callable[[SocketModeServer, str], Delivery]
) -> None:
    with patient:
        served = serve(ECHO, **settings(patient))
        patient.wait_for_connections(TWO)
        deliveries = [deliver(patient, f"m{number}") for number in range(20)]
        assert served.stop() == 0
        assert patient.connections == 0
        assert "Traceback" not in served.output()
        served.start()
        for delivery in deliveries:
            delivery.wait(30)
        assert_answered_once(emulate, len(deliveries))


def test_workers_open_no_connections(serve: Serve, socket_mode: SocketModeServer, postgres: PostgresServer) -> None:
    served = serve(ECHO, **settings(socket_mode, UNDERSTUDY_DATABASE_URL=postgres.make()))
    served.work()
    socket_mode.wait_for_connections(TWO)
    assert socket_mode.opened == TWO


def test_a_token_that_slack_rejects_stops_the_start(
    emulate: Emulate, socket_mode: SocketModeServer, tmp_path: Path
) -> None:
    env = settings(socket_mode, SLACK_APP_TOKEN="xapp-1-A-1-revoked", SLACK_BOT_TOKEN=emulate.bot_token)
    ended = run("serve", str(ECHO), directory=tmp_path, **env)
    assert ended.returncode == 2
    assert "SLACK_APP_TOKEN was rejected by Slack (invalid_auth)." in ended.stderr
    assert "xapp-1-A-1-revoked" not in ended.stderr
    assert "Traceback" not in ended.stderr
