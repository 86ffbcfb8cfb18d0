"""The commands, settings, links and code in the documentation are right."""

import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from commands import COMMAND, Command, environment, run
from e2e.conftest import Serve
from e2e.served import ROOT
from peers.postgres import PostgresServer
from peers.process import free_ports
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from sqlalchemy import insert

from gateway import Agent, CloneError
from gateway.access.entries import AccessList, Entry, Kind
from gateway.configuration.loader import load_gateway
from gateway.history.sessions import Sessions
from gateway.runs.items import Role, SessionItem
from gateway.settings import GatewaySettings
from gateway.storage.connect import connect
from gateway.storage.tables import access_requests, conversations
from oauth import Identity, Keyring, SettingError, Token
from oauth.store.tokens import TokenStore

DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "cookbook").glob("*/README.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]
SETTINGS = re.compile(r"\b(?:UNDERSTUDY|SLACK|TELEGRAM|TWILIO|GOOGLE|WEBHOOK)_[A-Z_]+\b")

WEBHOOK = {"WEBHOOK_SECRET": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", "WEBHOOK_URL": "http://127.0.0.1:9"}


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE)


def commands(program: str, documents: Sequence[Path] = DOCUMENTS) -> list[str]:
    """Return the command lines of a program, with the settings that stand before it."""
    lines = [line.strip() for document in documents for block in blocks(document, "sh") for line in block.splitlines()]
    return sorted({line for line in lines if re.match(rf"(?:[A-Z_]+=\S+ )*{program} ", line)})


#: The files that pages show for readers to save, by name.
FILES = {
    name[1]: block
    for document in DOCUMENTS
    for language in ("python", "yaml")
    for block in blocks(document, language)
    if (name := re.match(r"# (\w+\.(?:py|yaml))\n", block))
}


def file_of(name: str, directory: Path) -> Path:
    """Return a file that a command names: one of the repository, or one that a page shows."""
    if name not in FILES:
        return ROOT / name
    path = directory / name
    path.write_text(FILES[name])
    return path


@pytest.mark.processes
@pytest.mark.parametrize("command", commands("make"))
def test_a_make_command_in_the_documentation_has_a_target(command: str) -> None:
    ended = subprocess.run(
        [*shlex.split(command, comments=True), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


STARTS = [document for document in DOCUMENTS if any("understudy keys new" in block for block in blocks(document, "sh"))]


@pytest.mark.processes
@pytest.mark.parametrize("document", STARTS, ids=lambda document: document.parent.name)
def test_a_recipe_keeps_its_secret_key_when_it_starts_again(document: Path, tmp_path: Path) -> None:
    lines = next(block for block in blocks(document, "sh") if "understudy keys new" in block).splitlines()
    script = "\n".join(line for line in lines if "UNDERSTUDY_SECRET_KEY" in line or "keys new" in line)
    env = {"PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}
    keys = {
        subprocess.run(
            ["sh", "-ec", f'{script}\necho "$UNDERSTUDY_SECRET_KEY"'],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(keys) == 1
    assert Keyring.parse(keys.pop().decode().strip())
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


@pytest.mark.parametrize("command", commands("understudy"))
def test_an_understudy_command_in_the_documentation_runs(
    command: str, serve: Serve, telegram: TelegramServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    words = shlex.split(command)
    given = dict(word.split("=", 1) for word in words[: words.index("understudy")])
    verb, *arguments = words[words.index("understudy") + 1 :]
    if verb == "serve":
        env = {"UNDERSTUDY_MODEL": "openai:gpt-5.2", "OPENAI_API_KEY": "none", **WEBHOOK}
        assert serve(file_of(arguments[0], tmp_path), **env).stop() == 0
        return
    if verb == "dev":
        _chat(file_of(arguments[0], tmp_path))
        return
    database = f"sqlite:///{tmp_path}/understudy.db"
    asyncio.run(_make(database))
    if verb == "worker":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        served = serve(ROOT / arguments[0], UNDERSTUDY_MODEL="test", UNDERSTUDY_DATABASE_URL=postgres.make())
        served.work()
        assert served.stop() == 0
        return
    if arguments[:1] == ["copy"]:
        postgres = request.getfixturevalue("postgres")
        arguments = ["copy", database, postgres.make(empty=True)]
    settings = {"UNDERSTUDY_DATABASE_URL": database, **ACCOUNTS, **given}
    if given:  # before the app exists
        del settings["SLACK_BOT_TOKEN"], settings["SLACK_SIGNING_SECRET"]
    if verb == "init":  # in an empty folder, where nothing is set
        settings = {}
    if verb == "doctor":  # of a bot that polls Telegram
        used = ("UNDERSTUDY_MODEL", "UNDERSTUDY_SECRET_KEY", "UNDERSTUDY_DATABASE_URL")
        settings = {name: settings[name] for name in used}
        settings |= {"TELEGRAM_BOT_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url}
    shown = [file_of(name, tmp_path) for name in arguments if name in FILES]
    directory = tmp_path if shown or verb == "init" else ROOT
    if verb == "check":  # in a new process, since it searches the memory of its process, which a fork shares
        env = environment(tmp_path, **settings)
        ended = subprocess.run(
            [COMMAND, verb, *arguments], cwd=directory, env=env, capture_output=True, text=True, check=False
        )
    else:
        ended = run(verb, *arguments, directory=directory, **settings)
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"


def _chat(file: Path) -> None:
    """Start `understudy dev FILE`, which prints what a page says, and stop it."""
    port, log = str(free_ports(1)[0]), file.with_name("log.txt")
    with log.open("wb") as output:
        env = environment(file.parent, UNDERSTUDY_MODEL="test")
        child = Command("dev", file.name, "--port", port, directory=file.parent, env=env, stdout=output, stderr=output)
    try:
        wait_until(lambda: f"from {file.name}" in log.read_text(), 30, "understudy dev has started")
    finally:
        child.terminate()
        assert child.wait(20) == 0, log.read_text()
    page = (ROOT / "docs" / "first-agent.md").read_text()
    started, _, _ = log.read_text().replace(port, "8000").partition("Stopped.")
    assert started in page


ACCOUNTS = {
    "UNDERSTUDY_MODEL": "test",
    "UNDERSTUDY_BASE_URL": "https://bot.example.com",
    "UNDERSTUDY_SECRET_KEY": Keyring.generate(),
    "GOOGLE_CLIENT_ID": "id",
    "GOOGLE_CLIENT_SECRET": "secret",
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "secret",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "TELEGRAM_WEBHOOK_SECRET": "secret",
}


async def _make(url: str) -> None:
    """Make a database in which the people of the examples have done what the commands are about."""
    database = connect(url)
    await database.open()
    tokens = TokenStore(database, Keyring.parse(ACCOUNTS["UNDERSTUDY_SECRET_KEY"]))
    person, token = (
        Identity("slack", "T012AB3CD", "U024BE7LH"),
        Token("a", None, None, frozenset(), "alice@example.com"),
    )
    async with database.write() as connection:
        await tokens.save(connection, person, "google", token)
        where = {"channel": "slack", "tenant": "T012AB3CD", "key": "D024BE91L"}
        added = insert(conversations).values(**where, shared=False, last_place=0).returning(conversations.c.id)
        conversation = (await connection.execute(added)).scalar_one()
        said = [SessionItem(Role.USER, "hello")]
        await Sessions(database).add(connection, conversation, 1, person, "Alice", said, private=False)
        await AccessList(database).add(connection, Entry("telegram", "1000001", Kind.PERSON, "4711"))
        now = datetime.now(UTC)
        request = {"code": "K7QMWX", "expires_at": now + timedelta(hours=1), "welcome": '["hello"]', "asked_at": now}
        who = {"channel": "telegram", "tenant": "1000001", "user_id": "4712", "conversation_id": conversation}
        await connection.execute(insert(access_requests).values(**who, **request))
    await database.close()


@pytest.mark.parametrize("recipe", sorted((ROOT / "cookbook").glob("*/README.md")), ids=lambda path: path.parent.name)
def test_a_recipe_sets_every_setting_that_it_needs(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = "\n".join(blocks(recipe, "sh"))
    named = {name for name in SETTINGS.findall(block) if f"{name}=" in block}
    recipe_file = next(ROOT / command.split()[-1] for command in commands("understudy serve", [recipe]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_MODEL", "test")
    missing: set[str] = set()
    while found := _not_set(recipe_file) - missing:
        missing |= found
        for name in found:
            monkeypatch.setenv(name, EXAMPLES.get(name, "x"))
    assert missing
    assert missing <= named


def _not_set(recipe_file: Path) -> set[str]:
    """Return the settings that an error says are missing, when the recipe is loaded."""
    try:
        load_gateway(str(recipe_file))
    except SettingError as error:
        return set(re.findall(r"([A-Z_]+) is not set", str(error)))
    return set()


EXAMPLES = {
    "SLACK_APP_TOKEN": "xapp-1-A1-2-3",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "TWILIO_WHATSAPP_FROM": "whatsapp:+15551234567",
    "UNDERSTUDY_SECRET_KEY": "AAAA",  # malformed
}


@pytest.mark.long
@pytest.mark.parametrize(
    "document",
    [document for document in DOCUMENTS if blocks(document, "python")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_python_in_the_documentation_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (ACCOUNTS | OF_SNIPPETS).items():
        monkeypatch.setenv(name, value)
    namespace: dict[str, object] = {"__name__": "documentation"}
    for block in blocks(document, "python"):
        code = compile(block, document.name, "exec")
        if not re.search(READERS_OWN, block):
            exec(code, namespace)


#: What only the reader has: packages, and a model that answers.
READERS_OWN = r"\b(?:my_bot|my_channel|understudy_pigeon)\b|asyncio\.run\("
OF_SNIPPETS = {
    "ACME_CLIENT_ID": "id",
    "ACME_CLIENT_SECRET": "secret",
    "GITHUB_CLIENT_ID": "id",
    "GITHUB_CLIENT_SECRET": "secret",
    "OPENAI_API_KEY": "none",
    "SLACK_SUPPORT_BOT_TOKEN": "xoxb-2",
    "SLACK_SUPPORT_SIGNING_SECRET": "another secret",
    "TELEGRAM_SUPPORT_BOT_TOKEN": "2:x",
}


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_a_page_shows_has_an_agent(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("UNDERSTUDY_MODEL", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.setenv(variable, ACCOUNTS[variable])
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    chosen = ":answer" if name == "flow.py" else ""
    assert load_gateway(f"{file_of(name, tmp_path)}{chosen}").interfaces["telegram"]


def test_the_page_about_toolkits_is_right_about_an_attribute_that_cannot_be_copied() -> None:
    code = next(block for block in blocks(ROOT / "docs" / "toolkits.md", "python") if "_clone_shared_attrs" in block)
    right: dict[str, Any] = {}
    exec(code, right)
    Agent(model="test", toolkits=[right["Weather"]("https://weather.example.com")]).check()
    wrong: dict[str, Any] = {}
    exec(code.replace("_clone_shared_attrs", "_forgotten"), wrong)
    with pytest.raises(CloneError, match=r"Weather\.client"):
        Agent(model="test", toolkits=[wrong["Weather"]("https://weather.example.com")]).check()


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    for test in named:
        path, _, name = test.partition("::")
        assert re.search(
            rf"^(async )?def {name}\(" if name else r"^(async )?def test_", (ROOT / path).read_text(), re.MULTILINE
        ), f"SECURITY.md names {test}, which is missing"


def test_the_security_policy_says_how_to_report_a_vulnerability_in_private() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert "## Reporting a vulnerability" in text
    assert "*Report a vulnerability*" in text


def test_every_setting_is_documented() -> None:
    code = "".join(
        path.read_text() for package in ("gateway", "oauth", "interfaces") for path in (ROOT / package).rglob("*.py")
    )
    documented = set(SETTINGS.findall((ROOT / "docs" / "settings.md").read_text()))
    assert set(SETTINGS.findall(code)) - documented == set()


def test_the_defaults_on_the_page_of_settings_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (`UNDERSTUDY_.*?) \|.*\| (.*?) \|$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    documented = {name: default for names, default in rows for name in re.findall(r"`UNDERSTUDY_(\w+)`", names)}
    for name, field in GatewaySettings.model_fields.items():
        default = str(field.default)
        if field.default is None or field.default == ():
            assert not documented[name.upper()].startswith("`")
        else:
            assert documented[name.upper()] == f"`{default.lower() if default in ('True', 'False') else default}`"


def test_every_link_between_documents_has_a_target() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), (
                f"{document.relative_to(ROOT)} links to {target}, which is missing"
            )
