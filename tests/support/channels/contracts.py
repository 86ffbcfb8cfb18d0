"""The limits, errors and signatures of each platform, for the tests of the contract of channels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from peers import seed
from peers.telegram import html as telegram_html
from peers.telegram import updates as telegram
from peers.webhooks import slack_events, twilio_webhook
from starlette.requests import Request

from gateway.channels import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    Interface,
    RecipientUnreachableError,
    RetryLaterError,
)
from gateway.testing import Answer, Call, Check, Failure, Platform, Sample, channel_contract, read_samples
from interfaces.chatkit import ChatKit, Person
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.web import Web
from interfaces.web.interface import COOKIE
from interfaces.whatsapp import WhatsApp
from support.files import JPEG, MP3, MP4, OGG, PDF, PNG
from toolkits import File


@dataclass(frozen=True)
class Contract:
    """A channel, with the arguments of `channel_contract`."""

    name: str
    make: Callable[[str], Interface]
    sign: Callable[[Sample], Mapping[str, str]]
    platform: Platform

    def samples(self) -> list[Sample]:
        return read_samples(files(f"interfaces.{self.name}") / "sample_messages.md")

    def checks(self) -> list[Check]:
        return channel_contract(self.make, self.samples(), sign=self.sign, platform=self.platform)


SENT_FILES = (File(PNG, name="cat.png"), File(JPEG, name="dog.jpg"), File(PDF, name="bill.pdf"))


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


# Slack


def make_slack(url: str) -> Slack:
    return Slack(seed.SLACK_BOT_TOKEN, seed.SLACK_SIGNING_SECRET, url)


def sign_for_slack(sample: Sample) -> Mapping[str, str]:
    headers = slack_events.headers(sample.body)
    return {name: headers[name] for name in ("X-Slack-Request-Timestamp", "X-Slack-Signature")}


def slack_answer(call: Call) -> Answer:
    if "getUploadURLExternal" in call.path:
        return Answer({"ok": True, "upload_url": f"http://{call.headers['host']}/upload", "file_id": "F1"})
    return Answer(
        {"ok": True, "user_id": seed.SLACK_BOT_USER_ID, "ts": "1764000000.000100", "channel": {"id": "D0ALICE01"}}
    )


def slack_failures() -> Iterator[Failure]:
    """Yield the errors of https://docs.slack.dev/reference/methods/chat.postMessage#errors."""

    def refusal(name: str, error: type[Exception]) -> Failure:
        return Failure(name, Answer({"ok": False, "error": name}), error)

    limited, wait = {"ok": False, "error": "ratelimited"}, {"Retry-After": "7"}
    yield Failure("429", Answer(limited, 429, wait), RetryLaterError, seconds=7)
    yield Failure("429 without a body", Answer("", 429, wait), RetryLaterError, seconds=7)
    yield Failure(
        "rate_limited", Answer({**limited, "error": "rate_limited"}, headers=wait), RetryLaterError, seconds=7
    )
    for name in (
        "account_inactive",
        "channel_not_found",
        "invalid_auth",
        "is_archived",
        "not_in_channel",
        "token_revoked",
    ):
        yield refusal(name, RecipientUnreachableError)
    for name in ("msg_too_long", "no_text", "restricted_action", "invalid_blocks", "missing_scope"):
        yield refusal(name, DeliveryRefusedError)
    for name in ("fatal_error", "internal_error", "request_timeout", "service_unavailable"):
        yield refusal(name, DeliveryAmbiguousError)
    yield Failure("500", Answer("", 500), DeliveryAmbiguousError)
    yield Failure("an answer without a message", Answer({"ok": True}), DeliveryAmbiguousError, path="chat.postMessage")


# Telegram


def make_telegram(url: str) -> Telegram:
    return Telegram(telegram.BOT_TOKEN, telegram.SECRET_TOKEN, url)


def sign_for_telegram(sample: Sample) -> Mapping[str, str]:
    return {"X-Telegram-Bot-Api-Secret-Token": telegram.SECRET_TOKEN}


def telegram_answer(call: Call) -> Answer:
    method = call.path.rpartition("/")[2]
    if method == "getMe":
        return Answer({"ok": True, "result": telegram.BOT})
    if method.startswith("send") and method != "sendChatAction":
        sent = {"message_id": 1, "date": 1764000000, "chat": telegram.private_chat(seed.ALICE), "text": "heard"}
        return Answer({"ok": True, "result": [sent] if method == "sendMediaGroup" else sent})
    return Answer({"ok": True, "result": True})


def telegram_failures() -> Iterator[Failure]:
    """Yield the errors of https://core.telegram.org/bots/api#making-requests, with descriptions that Telegram sends."""

    def refusal(status: int, description: str, error: type[Exception], **parameters: Any) -> Failure:
        body = {"ok": False, "error_code": status, "description": description, "parameters": parameters}
        return Failure(description, Answer(body, status), error, parameters.get("retry_after"))

    yield refusal(429, "Too Many Requests: retry after 7", RetryLaterError, retry_after=7)
    yield refusal(403, "Forbidden: bot was blocked by the user", RecipientUnreachableError)
    yield refusal(403, "Forbidden: bot was kicked from the supergroup chat", RecipientUnreachableError)
    yield refusal(403, "Forbidden: user is deactivated", RecipientUnreachableError)
    yield refusal(400, "Bad Request: chat not found", RecipientUnreachableError)
    yield refusal(400, "Bad Request: message is too long", DeliveryRefusedError)
    yield refusal(400, "Bad Request: can't parse entities: unclosed start tag at byte offset 3", DeliveryRefusedError)
    yield refusal(400, "Bad Request: not enough rights to send text messages to the chat", DeliveryRefusedError)
    yield refusal(500, "Internal Server Error: restart", ConnectionError)
    yield refusal(401, "Unauthorized", ConnectionError)
    yield Failure("an answer that ends early", Answer('{"ok": true, "resu'), DeliveryAmbiguousError)


# WhatsApp


def make_whatsapp(url: str) -> WhatsApp:
    return WhatsApp(seed.TWILIO_ACCOUNT_SID, seed.TWILIO_AUTH_TOKEN, seed.WHATSAPP_NUMBER, url)


def sign_for_twilio(sample: Sample) -> Mapping[str, str]:
    return {"X-Twilio-Signature": twilio_webhook.sign(sample.url, sample.form)}


def twilio_answer(call: Call) -> Answer:
    return Answer({"sid": "SM" + "1" * 32, "status": "queued"}, 201)


def twilio_failures() -> Iterator[Failure]:
    """Yield some errors of https://www.twilio.com/docs/api/errors."""

    def refusal(code: int, error: type[Exception], status: int = 400) -> Failure:
        return Failure(str(code), Answer({"code": code, "message": "no", "status": status}, status), error)

    limited = {"code": 20429, "message": "Too Many Requests", "status": 429}
    yield Failure("20429", Answer(limited, 429, {"Retry-After": "7"}), RetryLaterError, seconds=7)
    for code in (21211, 21610, 63003, 63016, 63024):
        yield refusal(code, RecipientUnreachableError)
    for code in (21602, 21617, 63013):
        yield refusal(code, DeliveryRefusedError)
    yield refusal(20003, DeliveryRefusedError, 401)
    yield refusal(20500, DeliveryAmbiguousError, 500)
    yield refusal(20503, DeliveryAmbiguousError, 503)
    yield Failure("an answer that ends early", Answer('{"sid": "SM'), DeliveryAmbiguousError)


# The channels in a web page, which call no platform


class WebWindow:
    """The window of Alice. The running channel signs its cookie."""

    def make(self, url: str) -> Web:
        self._web = Web()
        return self._web

    def sign(self, sample: Sample) -> Mapping[str, str]:
        return {"Cookie": f"{COOKIE}={self._web._signer.sign('alice').decode()}"}


WINDOW = WebWindow()
TOKEN = "the-session-of-alice"


async def by_token(request: Request) -> Person | None:
    return Person("alice", "Alice") if request.headers.get("authorization") == TOKEN else None


CONTRACTS: Sequence[Contract] = (
    Contract(
        "slack",
        make_slack,
        sign_for_slack,
        # https://docs.slack.dev/changelog/2018-truncating-really-long-messages
        Platform(
            limit=40_000,
            answer=slack_answer,
            failures=tuple(slack_failures()),
            files=SENT_FILES,
            files_path="files.completeUploadExternal",
        ),
    ),
    Contract(
        "telegram",
        make_telegram,
        sign_for_telegram,
        # https://core.telegram.org/bots/api#sendmessage
        Platform(
            limit=4096,
            length=lambda part: utf16_length(telegram_html.parse(part)[0]),
            signs_body=False,
            answer=telegram_answer,
            failures=tuple(telegram_failures()),
            files=[*SENT_FILES, File(OGG, name="note.ogg"), File(MP3, name="song.mp3"), File(MP4, name="film.mp4")],
        ),
    ),
    Contract(
        "whatsapp",
        make_whatsapp,
        sign_for_twilio,
        # https://www.twilio.com/docs/api/errors/21617
        Platform(
            limit=1600,
            length=utf16_length,
            answer=twilio_answer,
            failures=tuple(twilio_failures()),
            files=[*SENT_FILES, File(OGG, name="note.ogg")],
        ),
    ),
    Contract("web", WINDOW.make, WINDOW.sign, Platform(limit=None, signs_body=False)),
    Contract(
        "chatkit",
        lambda url: ChatKit(by_token),
        lambda sample: {"Authorization": TOKEN},
        Platform(limit=None, signs_body=False, redelivers=False),
    ),
)
