"""Build signed webhook requests as Slack and Telegram send them."""

import hashlib
import hmac
import itertools
import json
import time

SIGNING_SECRET = "bench-signing-secret"
WEBHOOK_SECRET = "bench-webhook-secret"
BOT_TOKEN = "123456:bench"

_numbers = itertools.count(1)


def slack_requests(count: int, conversations: int = 1000) -> list[bytes]:
    """Build requests, each with a direct message and a unique event id, spread over some conversations."""
    return [_slack(next(_numbers), number % conversations) for number in range(count)]


def _slack(number: int, conversation: int) -> bytes:
    event = {
        "type": "message",
        "channel": f"D{conversation:08d}",
        "channel_type": "im",
        "user": f"U{conversation:08d}",
        "text": "what is new in my mail?",
        "ts": f"{int(time.time())}.{number % 1_000_000:06d}",
    }
    body = json.dumps(
        {
            "token": "t",
            "team_id": "T1",
            "api_app_id": "A1",
            "type": "event_callback",
            "event_id": f"Ev{number}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
            "event": event,
        }
    ).encode()
    stamp = str(int(time.time()))
    signature = hmac.new(SIGNING_SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}
    return _request("/slack/events", headers, body)


def telegram_request(text: str, chat: int) -> bytes:
    """Build a request with a message in a private chat. If the id is negative, it mentions the bot in a group."""
    number = next(_numbers)
    is_group = chat < 0
    message = {
        "message_id": number,
        "date": int(time.time()),
        "chat": {"id": chat, "type": "supergroup", "title": "G"} if is_group else {"id": chat, "type": "private"},
        "from": {"id": abs(chat), "is_bot": False, "first_name": "P"},
        "text": f"@b {text}" if is_group else text,
        "entities": [{"type": "mention", "offset": 0, "length": 2}] if is_group else [],
    }
    body = json.dumps({"update_id": number, "message": message}).encode()
    return _request("/telegram/webhook", {"X-Telegram-Bot-Api-Secret-Token": WEBHOOK_SECRET}, body)


def _request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
