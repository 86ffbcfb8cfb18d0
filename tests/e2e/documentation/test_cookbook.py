"""Serve recipes unchanged, with their settings in the environment."""

from base64 import b64encode

import httpx
import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, sign_in
from e2e.served import ROOT
from peers import aimock as scripted
from peers import seed
from peers.aimock import Aimock
from peers.emulate.server import Emulate
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from peers.webhooks import slack_interactions as interactions
from support.files import PNG


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_recipe_answers_with_the_mail_of_the_person_who_asks(
    channel: str, serve: Serve, emulate: Emulate, telegram: TelegramServer, aimock: Aimock
) -> None:
    aimock.load(
        [
            scripted.calls_tool("new in my mail", "search_messages", {"limit": 5}, hasToolResult=False),
            scripted.says("new in my mail", "You have **three** mails.", hasToolResult=True),
        ]
    )
    serve(
        ROOT / "cookbook" / channel / "gmail_agent.py",
        UNDERSTUDY_MODEL="openai-chat:gpt-5.2",
        OPENAI_API_KEY="none",
        OPENAI_BASE_URL=aimock.base_url,
    )
    alice = CHANNELS[channel](seed.ALICE, emulate, telegram)
    alice.write("What is new in my mail?")
    sign_in(alice, emulate)
    wait_until(lambda: "three" in alice.seen()[-1], what="alice is answered")
    told = str(aimock.requests()[-1])
    assert seed.ALICE.marker("MAIL", 1) in told
    assert seed.CANARY not in told


def test_a_photo_of_a_receipt_becomes_a_table_and_a_file(
    serve: Serve, telegram: TelegramServer, aimock: Aimock
) -> None:
    receipt = {"day": "2026-11-30", "shop": "Bakery", "amount": 4.5, "currency": "EUR"}
    aimock.load(
        [
            scripted.calls_tool("as a file", "send_table", {"receipts": [receipt]}, hasToolResult=False),
            scripted.says("as a file", "There it is.", hasToolResult=True),
            scripted.says("how much", "| day | shop | amount |\n|---|---|---|\n| 2026-11-30 | Bakery | 4.50 EUR |"),
        ]
    )
    serve(
        ROOT / "cookbook" / "receipts" / "receipts_bot.py",
        UNDERSTUDY_MODEL="openai-chat:gpt-5.2",
        OPENAI_API_KEY="none",
        OPENAI_BASE_URL=aimock.base_url,
    )
    alice = seed.ALICE.telegram_id
    telegram.add_file("photo-1", PNG)
    photo = [{"file_id": "photo-1", "file_unique_id": "u", "width": 1, "height": 1, "file_size": len(PNG)}]
    telegram.deliver(updates.attached("how much is it?", photo=photo))
    wait_until(lambda: telegram.said(alice), what="the table")
    assert "Bakery" in telegram.said(alice)[0]
    assert b64encode(PNG).decode() in str(aimock.requests()[0])
    telegram.deliver(updates.private_message("as a file, please"))
    wait_until(lambda: len(telegram.said(alice)) == 3, what="the file and the answer")
    table = b"day,shop,amount,currency\r\n2026-11-30,Bakery,4.5,EUR\r\n"
    assert telegram.sent_files(alice) == [("document", "receipts.csv", table)]


def test_the_recipe_for_threads_sums_up_what_was_said(serve: Serve, emulate: Emulate, aimock: Aimock) -> None:
    aimock.load([scripted.says("sum this thread up", "They ship **today**.")])
    serve(
        ROOT / "cookbook" / "slack" / "thread_bot.py",
        UNDERSTUDY_MODEL="openai-chat:gpt-5.2",
        OPENAI_API_KEY="none",
        OPENAI_BASE_URL=aimock.base_url,
    )
    channel = emulate.slack_channel_id
    thread = emulate.slack_post("bob", channel, "Do we ship today?")
    emulate.slack_post("carol", channel, f"Yes, <@{seed.BOB.slack_id}>.", thread)
    emulate.slack_post("alice", channel, f"{emulate.slack_mention} can you sum this thread up?", thread)
    wait_until(lambda: emulate.slack_said(channel, thread), what="the thread is summed up")
    assert emulate.slack_said(channel, thread) == ["They ship *today*."]
    asked = aimock.requests()[0]["messages"][-1]["content"]
    assert '"Bob" wrote, earlier in this thread:\n> Do we ship today?\n' in asked
    assert '"Carol" wrote, earlier in this thread:\n> Yes, @Bob.\n' in asked
    assert asked.endswith("can you sum this thread up?")


def test_the_recipe_with_a_modal_takes_a_ticket_once_and_answers_in_a_thread(
    serve: Serve, emulate: Emulate, aimock: Aimock
) -> None:
    aimock.load([scripted.says("ticket did I send", "The one about the **lamp**.")])
    served = serve(
        ROOT / "cookbook" / "slack" / "ticket_bot.py",
        UNDERSTUDY_MODEL="openai-chat:gpt-5.2",
        OPENAI_API_KEY="none",
        OPENAI_BASE_URL=aimock.base_url,
    )
    channel = emulate.slack_dm("alice")
    state = {"values": {"problem": {"text": {"type": "plain_text_input", "value": "The lamp is broken."}}}}
    body = interactions.body_of(
        {
            "type": "view_submission",
            "team": {"id": seed.SLACK_TEAM_ID},
            "user": {"id": seed.ALICE.slack_id, "team_id": seed.SLACK_TEAM_ID},
            "view": {"id": "V1", "type": "modal", "callback_id": "ticket", "state": state},
        }
    )
    for _ in range(2):  # Slack delivers it twice
        answer = httpx.post(
            f"{served.url}/slack/interactivity", content=body, headers=interactions.headers(body), trust_env=False
        )
        assert (answer.status_code, answer.text) == (200, "")
    wait_until(lambda: emulate.slack_said(channel), what="the confirmation")
    assert emulate.slack_said(channel) == ["Your ticket is noted:\n\n> The lamp is broken."]
    root = emulate.slack_post("alice", channel, "Which ticket did I send?")
    wait_until(lambda: emulate.slack_said(channel, root), what="the answer in the thread")
    assert emulate.slack_said(channel, root) == ["The one about the *lamp*."]
    wait_until(lambda: emulate.slack.calls("/api/assistant.threads.setTitle"), what="the title")
