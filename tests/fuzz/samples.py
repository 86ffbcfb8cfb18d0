"""Documented payloads, which the fuzz target changes: those that the tests of the channels are made of."""

import json
import time
from typing import Any

from peers import seed, twilio_webhook
from peers import slack_events as slack
from peers import telegram_updates as telegram

Json = dict[str, Any]


def slack_events() -> list[Json]:
    """https://docs.slack.dev/reference/events"""
    said = slack.message("hello", thread_ts="1700000000.000100")
    organization = slack.direct_message("hello")
    organization["authorizations"][0] |= {"enterprise_id": "E1", "is_enterprise_install": True}
    shared = slack.app_mention("hello", user_team="T0OTHER01", source_team="T0OTHER01")
    forwarded = {"is_share": True, "text": "forwarded", "author_name": "Bob", "channel_id": seed.SLACK_CHANNEL_ID}
    kinds = ("team_access_revoked", "team_access_granted", "app_home_opened", "reaction_added", "channel_created")
    return [
        slack.url_verification(),
        slack.direct_message("*hello* <@U1|bob> <https://a.test|a> &amp; `code`"),
        slack.direct_message("accounts"),
        slack.direct_message("", attachments=[forwarded]),
        *slack.mention_pair("hello"),
        said,
        organization,
        shared,
        slack.message_changed(said, "changed"),
        slack.message_deleted(said),
        slack.bot_message("beep"),
        slack.own_message("mine"),
        slack.file_share("a file"),
        slack.channel_join(),
        slack.member_joined_channel(),
        slack.app_uninstalled(),
        slack.tokens_revoked(),
        *(
            slack.envelope({"type": kind, "team_ids": ["T1"], "user": "U1", "channel": {"id": "C1"}, "event_ts": "1.1"})
            for kind in kinds
        ),
    ]


def slack_commands() -> list[dict[str, str]]:
    """https://docs.slack.dev/interactivity/implementing-slash-commands"""
    return [
        slack.slash_command("/accounts"),
        slack.slash_command("/bot", "disconnect google"),
        slack.slash_command("/bot", "hello", is_enterprise_install="true", enterprise_id="E1"),
        {"ssl_check": "1", "token": "t"},
    ]


POLL = {
    "id": "1",
    "question": "Tea?",
    "options": [{"persistent_id": "a", "text": "yes", "voter_count": 0}],
    "total_voter_count": 0,
    "is_closed": False,
    "is_anonymous": True,
    "type": "regular",
    "allows_multiple_answers": False,
    "allows_revoting": False,
    "members_only": False,
}


def telegram_updates() -> list[Json]:
    """https://core.telegram.org/bots/api#update"""
    written = telegram.private_message("hello")
    person = telegram.user(seed.ALICE)
    place = {"latitude": 1.5, "longitude": -1.5}
    poll = {key: value for key, value in written["message"].items() if key not in ("text", "entities")}
    return [
        written,
        telegram.group_mention("hello 🎭 there"),
        telegram.text_mention("hello"),
        telegram.command("start", "answer"),
        telegram.command("help", chat=telegram.GROUP, at_bot=True),
        telegram.reply("and?", written["message"]),
        telegram.edited(written, "changed"),
        telegram.anonymous_admin("/help"),
        telegram.as_channel("/help"),
        telegram.channel_post("news"),
        telegram.new_chat_members(seed.BOB),
        telegram.photo("a picture"),
        telegram.photo(media_group_id="1"),
        telegram.topic_message(f"@{telegram.BOT_USERNAME} hello"),
        telegram.callback_query("yes", written["message"]),
        telegram.my_chat_member(telegram.private_chat(seed.ALICE), "member", "kicked"),
        {"update_id": 1, "message": poll | {"poll": POLL}},
        {"update_id": 2, "poll": POLL},
        {"update_id": 3, "poll_answer": {"poll_id": "1", "user": person, "option_ids": [0]}},
        {"update_id": 4, "message": poll | {"location": place}},
        {"update_id": 5, "message": poll | {"contact": {"phone_number": "+1", "first_name": "A"}}},
        {"update_id": 6, "message": poll | {"checklist": {"title": "t", "tasks": [{"id": 1, "text": "x"}]}}},
        {"update_id": 7, "message": poll | {"migrate_to_chat_id": -1001}},
    ]


def twilio_forms() -> list[dict[str, str]]:
    """https://www.twilio.com/docs/messaging/guides/webhook-request"""
    return [
        twilio_webhook.inbound("hello"),
        twilio_webhook.inbound("/disconnect"),
        twilio_webhook.inbound("", media={"https://a.test/1": "image/png", "https://a.test/2": "audio/ogg"}),
        twilio_webhook.inbound("", Latitude="1.5", Longitude="-1.5"),
        twilio_webhook.inbound("Yes", ButtonText="Yes", ButtonPayload="yes"),
        twilio_webhook.inbound("and?", OriginalRepliedMessageSid="SM1", OriginalRepliedMessageSender="whatsapp:+1"),
        twilio_webhook.status_callback("SM1", "delivered"),
        twilio_webhook.status_callback("SM1", "failed", error_code=63016),
    ]


def web_posts() -> list[Json]:
    return [{"id": f"m{time.time_ns()}", "text": "hello"}, {"id": "m1", "text": "/new"}]


def chatkit_requests(thread_id: str) -> list[Json]:
    """https://openai.github.io/chatkit-python/api/chatkit/types/

    Args:
        thread_id: of a thread that is there.
    """
    written = {"content": [{"type": "input_text", "text": "hello"}], "attachments": [], "inference_options": {}}
    quoting = written | {"quoted_text": "said"}
    here = {"thread_id": thread_id}
    return [
        {"type": "threads.create", "params": {"input": written}},
        {"type": "threads.add_user_message", "params": {**here, "input": quoting}},
        {"type": "threads.list", "params": {"limit": 9, "order": "desc", "after": None}},
        {"type": "threads.get_by_id", "params": here},
        {"type": "items.list", "params": {**here, "limit": 9, "order": "asc", "after": None}},
        {"type": "threads.update", "params": {**here, "title": "title"}},
        {"type": "threads.delete", "params": {"thread_id": "thr_none"}},
        {"type": "threads.retry_after_item", "params": {**here, "item_id": "message_1"}},
        {"type": "threads.custom_action", "params": {**here, "action": {"type": "x"}}},
        {"type": "items.feedback", "params": {**here, "item_ids": ["m"], "kind": "positive"}},
    ]


def copied(payload: Json) -> Any:
    return json.loads(json.dumps(payload))
