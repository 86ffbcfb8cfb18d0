"""Places that several people read: a thread of a Slack channel, a Telegram group."""

from urllib.parse import parse_qs, urlsplit

from e2e.conftest import Serve
from e2e.people import OnSlack, OnTelegram, link_in, wait_for_link
from e2e.served import assert_only_mail_of
from peers import seed, telegram_updates
from peers.emulate import Emulate
from peers.telegram import TelegramServer
from peers.wait import wait_until


def found(texts: list[str]) -> list[str]:
    return [text for text in texts if "Found:" in text]


def test_everyone_in_a_slack_thread_gets_their_own_link_and_their_own_mail(
    serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    serve(CHANNEL="slack")
    channel = emulate.slack_channel_id
    alice, bob = (OnSlack(person, emulate, telegram) for person in (seed.ALICE, seed.BOB))
    thread = emulate.slack_post("alice", channel, f"{emulate.slack_mention} what is new in my mail?")
    emulate.consent(wait_for_link(alice), seed.ALICE.email)
    wait_until(lambda: found(emulate.slack_said(channel, thread)), what="alice is answered in the thread")
    emulate.slack_post("bob", channel, f"{emulate.slack_mention} and in mine?", thread)
    emulate.consent(wait_for_link(bob), seed.BOB.email)
    answers = wait_until(
        lambda: len(found(emulate.slack_said(channel, thread))) == 2 and found(emulate.slack_said(channel, thread)),
        what="bob is answered in the thread",
    )
    assert_only_mail_of(seed.ALICE, answers[:1])
    assert_only_mail_of(seed.BOB, answers[1:])
    assert not any("/o/oauth2/" in text for text in emulate.slack_said(channel))


def test_the_button_in_a_telegram_group_serves_only_the_person_it_was_made_for(
    serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    serve(CHANNEL="telegram")
    group = telegram_updates.GROUP["id"]
    alice, bob = (OnTelegram(person, emulate, telegram) for person in (seed.ALICE, seed.BOB))
    telegram.deliver(telegram_updates.group_mention("what is new in my mail?", seed.ALICE))
    wait_until(lambda: telegram.messages(group), what="a button in the group")
    button = telegram.messages(group)[0]["reply_markup"]["inline_keyboard"][0][0]["url"]
    assert button.startswith(f"https://t.me/{telegram_updates.BOT_USERNAME}?start=")
    ticket = parse_qs(urlsplit(button).query)["start"][0]

    telegram.deliver(telegram_updates.command("start", ticket, seed.BOB))
    wait_until(bob.seen, what="bob is told something")
    assert "/o/oauth2/" not in bob.seen()[0]

    telegram.deliver(telegram_updates.command("start", ticket, seed.ALICE))
    emulate.consent(wait_for_link(alice), seed.ALICE.email)
    wait_until(lambda: found(telegram.said(group)), what="alice is answered in the group")
    assert_only_mail_of(seed.ALICE, found(telegram.said(group)))
    assert not any("/o/oauth2/" in text for text in telegram.said(group))
    assert link_in(alice.seen()[0])
