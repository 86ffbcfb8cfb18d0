"""The commands, settings, links and code in the documentation are right."""

import ast
import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import COMMAND, environment, run
from e2e.conftest import Serve
from e2e.served import ROOT
from peers.postgres import PostgresServer
from sqlalchemy import insert

from gateway.access.entries import AccessList, Entry, Kind
from gateway.configuration.loader import load_gateway
from gateway.history.sessions import Sessions
from gateway.runs.items import Role, SessionItem
from gateway.storage.connect import connect
from gateway.storage.tables import access_requests, conversations
from oauth import Identity, Keyring, SettingError, Token
from oauth.settings import each_error, setting_of
from oauth.store.tokens import TokenStore

DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "cookbook").glob("*/README.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]
SETTINGS = re.compile(r"\b(?:(?:UNDERSTUDY|SLACK|TELEGRAM|TWILIO|GOOGLE|WEBHOOK)_[A-Z_]+|[A-Z]+_API_KEY)\b")

WEBHOOK = {"WEBHOOK_SECRET": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", "WEBHOOK_URL": "http://127.0.0.1:9"}


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE)


def commands(program: str, documents: Sequence[Path] = DOCUMENTS) -> list[str]:
    lines = [line.strip() for document in documents for block in blocks(document, "sh") for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith(f"{program} ")})


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
    command: str, serve: Serve, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _, verb, *arguments = shlex.split(command)
    if verb == "serve":
        env = {"UNDERSTUDY_MODEL": "openai:gpt-5.2", "OPENAI_API_KEY": "none", **WEBHOOK}
        assert serve(ROOT / arguments[0], **env).stop() == 0
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
    settings = {"UNDERSTUDY_DATABASE_URL": database, **ACCOUNTS}
    if verb == "check":  # in a new process, since it searches the memory of its process, which a fork shares
        command, env = [COMMAND, verb, *arguments], environment(ROOT, **settings)
        ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    else:
        ended = run(verb, *arguments, directory=tmp_path if verb == "init" else ROOT, **settings)
    assert ended.returncode == 0, ended.stderr


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
        about = map(setting_of, each_error([error]))
        return {setting.name for setting in about if setting is not None and setting.is_missing}
    return set()


EXAMPLES = {
    "SLACK_APP_TOKEN": "xapp-1-A1-2-3",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "TWILIO_WHATSAPP_FROM": "whatsapp:+15551234567",
    "UNDERSTUDY_SECRET_KEY": "AAAA",  # malformed
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_the_documentation_has_no_syntax_error(document: Path) -> None:
    for block in blocks(document, "python"):
        ast.parse(block)


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


def test_every_link_between_documents_has_a_target() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), (
                f"{document.relative_to(ROOT)} links to {target}, which is missing"
            )
