"""Private answers and sign-in links in shared conversations: a thread of a Slack channel and a Telegram group."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from e2e.conftest import Serve
from e2e.people import OnSlack, OnTelegram, link_in, sign_in, wait_for_mail
from e2e.served import assert_only_mail_of
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until


def found(texts: list[str]) -> list[str]:
    return [text for text in texts if "Found:" in text]


def test_each_person_in_a_slack_thread_gets_their_own_link_and_mail_in_private(
    serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    serve(CHANNEL="slack")
    channel = emulate.slack_channel_id
    alice, bob = (OnSlack(person, emulate, telegram) for person in (seed.ALICE, seed.BOB))
    thread = emulate.slack_post("alice", channel, f"{emulate.slack_mention} what is new in my mail?")
    sign_in(alice, emulate)
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
    emulate.slack_post("bob", channel, f"{emulate.slack_mention} and in mine?", thread)
    sign_in(bob, emulate)
    assert_only_mail_of(seed.BOB, wait_for_mail(bob))
    notes = "I answered you in a direct message."
    wait_until(
        lambda: "\n".join(emulate.slack_said(channel, thread)).count(notes) == 2, what="the thread has two notes"
    )
    assert f"<#{channel}>" in wait_for_mail(alice)[0]
    assert found(emulate.slack_said(channel, thread)) == []
    assert not any("/sign-in/" in text for text in emulate.slack_said(channel))


def test_with_open_private_answers_the_answer_is_posted_in_the_slack_thread(
    serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    serve(CHANNEL="slack", UNDERSTUDY_PRIVATE_ANSWERS="open")
    channel = emulate.slack_channel_id
    alice = OnSlack(seed.ALICE, emulate, telegram)
    thread = emulate.slack_post("alice", channel, f"{emulate.slack_mention} what is new in my mail?")
    sign_in(alice, emulate)
    wait_until(lambda: found(emulate.slack_said(channel, thread)), what="alice is answered in the thread")
    assert_only_mail_of(seed.ALICE, found(emulate.slack_said(channel, thread)))


def start_parameter(message: dict[str, Any]) -> str:
    button = message["reply_markup"]["inline_keyboard"][0][0]["url"]
    assert button.startswith(f"https://t.me/{updates.BOT_USERNAME}?start=")
    return parse_qs(urlsplit(button).query)["start"][0]


def test_the_sign_in_button_in_a_telegram_group_works_only_for_its_person(
    serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    serve(CHANNEL="telegram")
    group = updates.GROUP["id"]
    alice, bob = (OnTelegram(person, emulate, telegram) for person in (seed.ALICE, seed.BOB))
    telegram.deliver(updates.group_mention("what is new in my mail?", seed.ALICE))
    wait_until(lambda: telegram.messages(group), what="the group gets a button")
    ticket = start_parameter(telegram.messages(group)[0])

    telegram.deliver(updates.command("start", ticket, seed.BOB))
    wait_until(bob.seen, what="bob is answered")
    assert "/sign-in/" not in bob.seen()[0]

    telegram.deliver(updates.command("start", ticket, seed.ALICE))
    sign_in(alice, emulate)
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
    wait_until(lambda: len(telegram.said(group)) == 2, what="the group gets a note")
    assert telegram.said(group)[1] == "I answered you in our private chat."
    assert link_in(alice.seen()[0])


def test_a_person_who_has_blocked_the_bot_gets_the_answer_once_they_press_the_button(
    serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    serve(CHANNEL="telegram")
    group = updates.GROUP["id"]
    alice, bob = (OnTelegram(person, emulate, telegram) for person in (seed.ALICE, seed.BOB))
    alice.write("what is new in my mail?")
    sign_in(alice, emulate)
    wait_for_mail(alice)
    telegram.block(seed.ALICE.telegram_id)
    telegram.deliver(updates.group_mention("what is new in my mail?", seed.ALICE))
    wait_until(lambda: telegram.messages(group), what="the group gets a button")
    parameter = start_parameter(telegram.messages(group)[0])
    assert found(telegram.said(group)) == []
    telegram.deliver(updates.command("start", parameter, seed.BOB))
    wait_until(bob.seen, what="bob is answered")
    assert found(bob.seen()) == []
    telegram.deliver(updates.command("start", parameter, seed.ALICE))
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))
