"""Wrong set-ups, with the sentences of `understudy doctor` and of the start.

Each begins with the set-up of `environment`, in which nothing is wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from peers.emulate.server import Emulate
from peers.serving import Receiver
from peers.telegram.server import BOT_TOKEN, TelegramServer
from starlette.responses import PlainTextResponse
from support.set_up import accept_slack_token

from gateway.app.server import listen
from gateway.channels.diagnosis import Mark
from gateway.configuration.loader import load_gateway
from gateway.doctor import examine, load_set_up
from oauth import Identity, Keyring, SettingError, Token
from oauth.store.tokens import TokenStore


@dataclass
class Place:
    """Where a set-up is made wrong."""

    directory: Path
    emulate: Emulate
    telegram: TelegramServer
    receiver: Receiver


@dataclass(frozen=True)
class Wrong:
    """A wrong set-up.

    Args:
        said: a part of doctor's sentence.
        env: the settings that are wrong; `None` unsets one.
        files: files to write.
        do: what else to do.
        mark: how serious doctor finds it.
        stops: whether the start stops, with the same part in its sentence; or another part of that sentence.
        listens: returns where the gateway is to listen.
    """

    said: str
    env: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    do: Callable[[Place], object] | None = None
    mark: Mark = Mark.PROBLEM
    stops: bool | str = True
    target: str = "bot.py"
    listens: Callable[[Place], tuple[str, int]] | None = None


MISSING = (
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "SLACK_BOT_TOKEN",
    "TELEGRAM_BOT_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_WHATSAPP_FROM",
    "UNDERSTUDY_MODEL",
    "UNDERSTUDY_SECRET_KEY",
)
GATEWAY = "from gateway import Agent, Gateway\n"
NO_DATABASE = "postgresql://nobody@127.0.0.1:9/understudy?connect_timeout=2"


def dotenv_for_all(place: Place) -> None:
    path = place.directory / ".env"
    path.write_text("A=1\n")
    path.chmod(0o644)


def open_database_file(place: Place) -> None:
    path = place.directory / "understudy.db"
    path.touch()
    path.chmod(0o644)


def other_webhook(place: Place) -> None:
    sender = "XE" + "1" * 32
    place.emulate.twilio_sender(sender, place.emulate.whatsapp_number, callback_url="https://old.test/hook")


def reject_slack_token(place: Place) -> None:
    place.emulate.slack.heal()
    place.emulate.slack.fail("/api/auth.test", 200, body={"ok": False, "error": "invalid_auth"})


def turn_clock(place: Place) -> None:
    place.emulate.slack.fail("/api/api.test", 200, headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})


WRONG = {
    **{f"without {name}": Wrong(f"{name} is not set", {name: None}) for name in MISSING},
    "no way for Slack's requests": Wrong("SLACK_APP_TOKEN is not set", {"SLACK_SIGNING_SECRET": None}),
    "no public address for Twilio": Wrong("UNDERSTUDY_BASE_URL is not set, and Twilio", {"UNDERSTUDY_BASE_URL": None},
        stops="UNDERSTUDY_BASE_URL is not set"),
    "no public address to sign in": Wrong("only people on this machine can sign in", {"UNDERSTUDY_BASE_URL": None},
        mark=Mark.WARNING, stops="UNDERSTUDY_BASE_URL is not set"),
    "an app-level token of another kind": Wrong("it has to begin with xapp-", {"SLACK_APP_TOKEN": "xoxb-1"}),
    "a bot token that expires": Wrong("it expires after twelve hours", {"SLACK_BOT_TOKEN": "xoxe.xoxb-1"}),
    "a bot token and a client id": Wrong("SLACK_BOT_TOKEN and SLACK_CLIENT_ID are both", {"SLACK_CLIENT_ID": "1.2"}),
    "a malformed token of Telegram": Wrong("it has to look like 123456:ABC-DEF", {"TELEGRAM_BOT_TOKEN": "bot"}),
    "a malformed secret of the webhook": Wrong("Telegram takes 1 to 256", {"TELEGRAM_WEBHOOK_SECRET": "a b"}),
    "a malformed switch": Wrong("TELEGRAM_POLLING is malformed (found 'maybe')", {"TELEGRAM_POLLING": "maybe"}),
    "a malformed sender": Wrong("TWILIO_WHATSAPP_FROM is malformed (found '12')", {"TWILIO_WHATSAPP_FROM": "12"}),
    "a malformed template": Wrong("TWILIO_LATE_TEMPLATE is malformed", {"TWILIO_LATE_TEMPLATE": "hello"}),
    "an address without https": Wrong("plain http is allowed only", {"UNDERSTUDY_BASE_URL": "http://bot.example.com"}),
    "an address that is none": Wrong("it has to be an address like", {"UNDERSTUDY_BASE_URL": "bot.example.com"}),
    "an address that nobody answers": Wrong("cannot be reached", {"UNDERSTUDY_BASE_URL": "https://bot.invalid"},
        mark=Mark.WARNING, stops=False),
    "a proxy without the gateway": Wrong("/healthz answers 502",
        do=lambda place: setattr(place.receiver, "answer", lambda _: PlainTextResponse("bad gateway", 502)),
        mark=Mark.WARNING, stops=False),
    "a key that is too short": Wrong("UNDERSTUDY_SECRET_KEY: key 1", {"UNDERSTUDY_SECRET_KEY": "AAAA"}),
    "a number that is none": Wrong("UNDERSTUDY_TURN_TRIES is malformed", {"UNDERSTUDY_TURN_TRIES": "many"}),
    "a choice that is none": Wrong("It is alone or open", {"UNDERSTUDY_PRIVATE_ANSWERS": "shout"}),
    "an approver that is none": Wrong("an identity is CHANNEL/TENANT/USER_ID", {"UNDERSTUDY_APPROVERS": "alice"}),
    "a model of no provider": Wrong("The model 'nonsense'", {"UNDERSTUDY_MODEL": "nonsense"}),
    # A model's client is made once in a process: here, no other test uses this model.
    "a model without its key": Wrong("OPENAI_API_KEY", {"UNDERSTUDY_MODEL": "openai:without-key"}),
    "a model without its package": Wrong("understudy[anthropic]", {"UNDERSTUDY_MODEL": "anthropic:claude-sonnet-4-5"}),
    "a misspelt setting": Wrong("UNDERSTUDY_MODLE is no setting. If UNDERSTUDY_MODEL is meant",
        {"UNDERSTUDY_MODLE": "test"}, mark=Mark.WARNING, stops=False),
    "a misspelt token": Wrong("TELEGRAM_TOKEN is no setting. If TELEGRAM_BOT_TOKEN is meant",
        {"TELEGRAM_TOKEN": "1:x"}, mark=Mark.WARNING, stops=False),
    "a `.env` for all": Wrong("run `chmod 600 .env`", do=dotenv_for_all, mark=Mark.WARNING, stops=False),
    "a token that Slack rejects": Wrong("Slack rejects SLACK_BOT_TOKEN (invalid_auth)",
        do=reject_slack_token,
        stops=False),
    "a scope that is not granted": Wrong("The app lacks files:read, users:read: add them",
        do=lambda place: accept_slack_token(place.emulate, without=("files:read", "users:read")), stops=False),
    "an unreachable Slack": Wrong("Slack could not be asked", {"SLACK_API_URL": "http://127.0.0.1:9/api"}, stops=False),
    "a token that Telegram rejects": Wrong("Telegram rejects TELEGRAM_BOT_TOKEN", {"TELEGRAM_BOT_TOKEN": "1:unknown"},
        stops="TELEGRAM_BOT_TOKEN was rejected by Telegram"),
    "a webhook of another program": Wrong("Telegram delivers updates to https://other.test",
        do=lambda place: place.telegram.api.webhook.update(url="https://other.test"), mark=Mark.WARNING, stops=False),
    "an unreachable Telegram": Wrong("Telegram could not be asked", {"TELEGRAM_API_URL": "http://127.0.0.1:9"},
        stops=False),
    "a token that Twilio rejects": Wrong("Twilio does not take the call", {"TWILIO_AUTH_TOKEN": "wrong"}, stops=False),
    "another webhook at Twilio": Wrong("Twilio calls https://old.test/hook (POST), and not", do=other_webhook,
        mark=Mark.WARNING, stops=False),
    "a clock that is wrong": Wrong("s ahead: synchronize it", do=turn_clock,
        stops=False),
    "a database of another kind": Wrong("names a mysql database", {"UNDERSTUDY_DATABASE_URL": "mysql://h/understudy"}),
    "an address of no database": Wrong("The URL of the database", {"UNDERSTUDY_DATABASE_URL": "understudy.db"}),
    "a folder that does not exist": Wrong("does not exist: create it",
        {"UNDERSTUDY_DATABASE_URL": "sqlite:///nowhere/understudy.db"}, stops="cannot be opened"),
    "a file that is no database": Wrong("The database cannot be read", files={"understudy.db": "hello " * 200},
        stops=False),
    "a database that others read": Wrong("Other users of this machine can read understudy.db", do=open_database_file,
        mark=Mark.WARNING, stops=False),
    "a PostgreSQL that does not answer": Wrong("which cannot be used", {"UNDERSTUDY_DATABASE_URL": NO_DATABASE}),
    "a port of another program": Wrong("Stop the program that listens there",
        listens=lambda place: ("127.0.0.1", int(place.telegram.url.rpartition(":")[2]))),
    "a host of another machine": Wrong("No network interface of this machine",
        listens=lambda _: ("203.0.113.1", 8000)),
    "a wrong database beside a file that is not Python": Wrong("names a mysql database",
        {"UNDERSTUDY_DATABASE_URL": "mysql://h/understudy"}, {"bot.py": "gateway = (\n"}, stops="this is not Python"),
    "a wrong key beside a file that is not Python": Wrong("UNDERSTUDY_SECRET_KEY: key 1",
        {"UNDERSTUDY_SECRET_KEY": "AAAA"}, {"bot.py": "gateway = (\n"}, stops="this is not Python"),
    "a key beside a misspelt argument in YAML": Wrong("UNDERSTUDY_SECRET_KEY: key 1",
        {"UNDERSTUDY_SECRET_KEY": "AAAA"},
        {"bot.yaml": "agents: {a: {toolkits: [gmail]}}\ninterfaces: {telegram: {pollng: true}}\n"}, target="bot.yaml"),
    "a database beside a channel without its setting in YAML": Wrong("names a mysql database",
        {"TELEGRAM_BOT_TOKEN": None},
        {"bot.yaml": "agents: {a: {}}\ninterfaces: {telegram: {}}\ndatabase: mysql://h/x\n"}, target="bot.yaml"),
    "no such file": Wrong("There is no file nowhere.py", target="nowhere.py"),
    "a file without an agent": Wrong("has no Gateway and no Agent at its top level", files={"bot.py": "x = 1\n"}),
    "a file that is not Python": Wrong("bot.py:1:11: this is not Python", files={"bot.py": "gateway = (\n"}),
    "a file that raises": Wrong("NameError: name 'nothing' is not defined", files={"bot.py": "gateway = nothing\n"}),
    "the same bot twice": Wrong("as the same bot", {"TELEGRAM_TWO_BOT_TOKEN": "1:x", "TELEGRAM_BOT_TOKEN": "1:x"},
        {"bot.py": GATEWAY + "from interfaces.telegram import Telegram\n"
         "gateway = Gateway(Agent(), [Telegram(), Telegram(name='two')])\n"}),
    "YAML that is none": Wrong("this is not YAML", files={"bot.yaml": "agents: [\n"}, target="bot.yaml"),
    "a misspelt key in YAML": Wrong("bot.yaml:1:1: 'agnets'", files={"bot.yaml": "agnets: {}\n"}, target="bot.yaml"),
    "a channel that is not installed": Wrong("There is no channel called 'pigeon'",
        files={"bot.yaml": "agents: {a: {}}\ninterfaces: {pigeon: {}}\n"}, target="bot.yaml"),
}  # fmt: skip


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", WRONG)
async def test_doctor_and_the_start_say_what_is_wrong(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    emulate: Emulate,
    telegram: TelegramServer,
    receiver: Receiver,
) -> None:
    wrong, place = WRONG[name], Place(tmp_path, emulate, telegram, receiver)
    for variable, value in wrong.env.items():
        if value is None:
            monkeypatch.delenv(variable)
        else:
            monkeypatch.setenv(variable, value)
    for file, text in wrong.files.items():
        (tmp_path / file).write_text(text)
    if wrong.do is not None:
        wrong.do(place)
    listens = wrong.listens(place) if wrong.listens is not None else None
    findings = await examine(load_set_up(wrong.target), listens=listens)
    lines = [f"{each.mark} {each.subject}: {each.text}" for each in findings]
    assert [each.mark for each in findings if wrong.said in each.text] == [wrong.mark], "\n".join(lines)
    for secret in (emulate.auth_token, emulate.bot_token, BOT_TOKEN, "xoxe.xoxb-1", "1:unknown"):
        assert secret not in "\n".join(lines)
    if wrong.stops:
        with pytest.raises(SettingError) as raised:
            await start(wrong.target, listens)
        assert (wrong.said if wrong.stops is True else wrong.stops) in str(raised.value)


async def start(target: str, listens: tuple[str, int] | None) -> None:
    """Start a gateway, as `understudy serve` does, and stop it."""
    if listens is not None:
        listen(*listens).close()
    async with load_gateway(target).lifespan():
        pass


async def test_a_key_that_opens_nothing_is_a_problem(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = load_gateway("bot.py")
    async with gateway.lifespan():
        assert gateway.parts.keyring is not None
        database = gateway.parts.backend.database
        async with database.write() as connection:
            token = Token("a", None, None, frozenset(), "alice@example.com")
            tokens = TokenStore(database, gateway.parts.keyring)
            await tokens.save(connection, Identity("slack", "T1", "U1"), "google", token)
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", Keyring.generate())
    findings = await examine(load_set_up("bot.py"))
    (found,) = [each for each in findings if each.subject == "secret key"]
    assert found.mark is Mark.PROBLEM
    assert "decrypts none of the 1 tokens" in found.text


async def test_the_start_says_together_that_the_address_and_the_database_are_missing(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_BASE_URL")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", "sqlite:///nowhere/understudy.db")
    with pytest.raises(SettingError, match=r"(?s)2 errors:.*UNDERSTUDY_BASE_URL is not set.*cannot be opened"):
        async with load_gateway("bot.py").lifespan():
            pass
