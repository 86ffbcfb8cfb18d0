"""On each channel: a message that needs an account, a private sign-in link, the consent, and the answer."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, ChannelPerson, link_in, sign_in, wait_for_link, wait_for_mail
from e2e.served import assert_only_mail_of
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.wait import wait_until
from support.consent.pages import authorization_url

ROUNDS = 8

ON_EACH = pytest.mark.parametrize("channel", CHANNELS)
# Behaviour that does not depend on the channel is tested on one channel only.
ON_SLACK, ON_TELEGRAM, ON_WHATSAPP = (pytest.mark.parametrize("channel", [channel]) for channel in CHANNELS)


def connect(person: ChannelPerson, emulate: Emulate) -> None:
    person.write("what is new in my mail?")
    sign_in(person, emulate)


@ON_EACH
def test_after_consent_the_waiting_message_is_answered(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson
) -> None:
    served = serve(CHANNEL=channel)
    connect(alice, emulate)
    answers = wait_for_mail(alice)
    assert len(answers) == 1
    assert_only_mail_of(seed.ALICE, answers)
    assert served.rows("SELECT channel, user_id, provider FROM oauth_tokens") == [
        (channel, served.rows("SELECT owner_user_id FROM session_items")[0][0], "google")
    ]
    # The stand-in's access and refresh tokens begin with `google_`.
    assert b"google_" not in served.stored_bytes()
    assert served.stop() == 0
    output = served.output()
    assert "google_" not in output
    assert not re.search(r"(code|state|code_verifier)=(?!\*\*\*)", output)
    assert emulate.bot_token not in output
    assert updates.BOT_TOKEN not in output


@ON_EACH
def test_two_people_at_once_each_see_their_own_mail_in_many_rounds(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson, bob: ChannelPerson
) -> None:
    serve(CHANNEL=channel)
    connect(alice, emulate)
    connect(bob, emulate)

    def write(person: ChannelPerson) -> None:
        for number in range(1, ROUNDS):
            person.write(f"round {number}: what is new?")

    with ThreadPoolExecutor() as threads:
        list(threads.map(write, (alice, bob)))
    for person in (alice, bob):
        answers = wait_for_mail(person, ROUNDS, timeout=60)
        assert len(answers) == ROUNDS
        assert_only_mail_of(person.person, answers)


@ON_TELEGRAM
def test_a_sign_in_link_works_only_once(channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson) -> None:
    served = serve(CHANNEL=channel)
    alice.write("what is new in my mail?")
    link = wait_for_link(alice)
    address = authorization_url(link)
    sign_in(alice, emulate, link)
    wait_for_mail(alice)
    assert emulate.consent(address, seed.BOB.email).status_code == 400
    assert httpx.get(link, trust_env=False).status_code == 400
    alice.write("and now?")
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))
    assert len(served.rows("SELECT * FROM oauth_tokens")) == 1


@ON_WHATSAPP
def test_consent_after_a_restart_answers_the_waiting_message(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson
) -> None:
    served = serve(CHANNEL=channel)
    alice.write("what is new in my mail?")
    link = wait_for_link(alice)
    served.kill()
    served.start()
    sign_in(alice, emulate, link)
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice))


@ON_SLACK
def test_a_message_acknowledged_before_kill_9_is_answered_after_the_restart(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson
) -> None:
    served = serve(CHANNEL=channel)
    connect(alice, emulate)
    wait_for_mail(alice)
    served.gate.touch()
    alice.write("and now?")
    wait_until(
        lambda: served.rows("SELECT id FROM inbox WHERE status = 'running'"), what="the turn of the message has begun"
    )
    served.kill()
    served.gate.unlink()
    assert len(wait_for_mail(alice)) == 1
    served.start()
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))


@ON_TELEGRAM
def test_after_a_revocation_at_google_the_person_is_asked_for_consent_again(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson
) -> None:
    served = serve(CHANNEL=channel)
    connect(alice, emulate)
    wait_for_mail(alice)
    emulate.google.post("reset")  # Google forgets every grant
    emulate.connect([f"{served.url}/oauth/google/callback"])
    links = sum("/sign-in/" in text for text in alice.seen())
    alice.write("and now?")
    wait_until(lambda: sum("/sign-in/" in text for text in alice.seen()) > links, what="a second link is sent")
    newest = [text for text in alice.seen() if "/sign-in/" in text][-1]
    sign_in(alice, emulate, link_in(newest))
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))


@ON_WHATSAPP
def test_a_refused_access_token_is_renewed_without_asking_the_person(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson
) -> None:
    serve(CHANNEL=channel)
    connect(alice, emulate)
    wait_for_mail(alice)
    access_token = emulate.google.calls("/messages")[-1].authorization.removeprefix("Bearer ")
    emulate.revoke(access_token)
    alice.write("and now?")
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))
    assert sum("/sign-in/" in text for text in alice.seen()) == 1


@ON_EACH
def test_a_person_lists_and_disconnects_their_account(
    channel: str, serve: Serve, emulate: Emulate, alice: ChannelPerson
) -> None:
    served = serve(CHANNEL=channel)
    connect(alice, emulate)
    wait_for_mail(alice)
    alice.command("accounts")
    wait_until(
        lambda: any("I may " in text and "read your mail" in text for text in alice.seen()), what="alice gets a list"
    )
    alice.command("disconnect")
    wait_until(lambda: any("is disconnected" in text for text in alice.seen()), what="alice is told of it")
    assert served.rows("SELECT * FROM oauth_tokens") == []
    wait_until(lambda: emulate.google.calls("/oauth2/revoke"), 15, "the grant is revoked at Google")
    refresh_token = emulate.google.calls("/oauth2/revoke")[0].body
    assert refresh_token.startswith("token=google_refresh_")
    assert "google_refresh_" not in served.output()
    alice.write("and now?")
    wait_until(lambda: sum("/sign-in/" in text for text in alice.seen()) == 2, what="alice gets a second link")
