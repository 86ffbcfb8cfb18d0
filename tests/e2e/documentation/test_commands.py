"""The commands in the documentation run."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import COMMAND, Command, environment, run
from e2e.conftest import Serve
from e2e.documentation.pages import ACCOUNTS, DOCUMENTS, FILES, blocks, commands, file_of
from e2e.served import ROOT
from peers.postgres import PostgresServer
from peers.process import free_ports
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from sqlalchemy import insert

from gateway.access.entries import AccessList, Entry, Kind
from gateway.history.sessions import Sessions
from gateway.runs.items import Role, SessionItem
from gateway.storage.connect import connect
from gateway.storage.tables import access_requests, conversations
from oauth import Identity, Keyring, Token
from oauth.store.tokens import TokenStore

WEBHOOK = {"WEBHOOK_SECRET": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", "WEBHOOK_URL": "http://127.0.0.1:9"}


ELSEWHERE = ("check", "dev", "doctor", "init", "serve", "worker", "db copy")
"""Commands that have tests of their own."""


def arguments_of(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the settings that a command line begins with, and the arguments of `understudy`."""
    words = shlex.split(command)
    start = words.index("understudy")
    return dict(word.split("=", 1) for word in words[:start]), words[start + 1 :]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of the examples."""
    path = tmp_path_factory.mktemp("examples") / "understudy.db"
    asyncio.run(_make(f"sqlite:///{path}"))
    return path


@pytest.fixture
def database(examples: Path, tmp_path: Path) -> str:
    """The URL of a copy of the database of the examples."""
    return f"sqlite:///{shutil.copy(examples, tmp_path)}"


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


@pytest.mark.parametrize("command", commands("understudy serve"))
def test_a_gateway_is_served(command: str, serve: Serve, tmp_path: Path) -> None:
    _, (_, file) = arguments_of(command)
    env = {"UNDERSTUDY_MODEL": "openai:gpt-5.2", "OPENAI_API_KEY": "none", **WEBHOOK}
    assert serve(file_of(file, tmp_path), **env).stop() == 0


@pytest.mark.parametrize("command", commands("understudy worker"))
def test_a_worker_runs(command: str, serve: Serve, postgres: PostgresServer) -> None:
    _, (_, file) = arguments_of(command)
    served = serve(ROOT / file, UNDERSTUDY_MODEL="test", UNDERSTUDY_DATABASE_URL=postgres.make())
    served.work()
    assert served.stop() == 0


@pytest.mark.processes
@pytest.mark.parametrize("command", commands("understudy dev"))
def test_the_web_chat_starts_and_prints_what_the_page_says(command: str, tmp_path: Path) -> None:
    _, (_, name) = arguments_of(command)
    file_of(name, tmp_path)
    port, log = str(free_ports(1)[0]), tmp_path / "log.txt"
    with log.open("wb") as output:
        env = environment(tmp_path, UNDERSTUDY_MODEL="test")
        child = Command("dev", name, "--port", port, directory=tmp_path, env=env, stdout=output, stderr=output)
    try:
        wait_until(lambda: f"from {name}" in log.read_text(), 30, "understudy dev has started")
    finally:
        child.terminate()
        assert child.wait(20) == 0, log.read_text()
    printed, _, _ = log.read_text().replace(port, "8000").partition("Stopped.")
    assert printed in (ROOT / "docs" / "first-agent.md").read_text()


@pytest.mark.processes
@pytest.mark.parametrize("command", commands("understudy doctor"))
def test_doctor_finds_what_the_page_about_telegram_says(command: str, telegram: TelegramServer, tmp_path: Path) -> None:
    _, (verb, name) = arguments_of(command)
    file_of(name, tmp_path)
    settings = {"TELEGRAM_BOT_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url, "UNDERSTUDY_MODEL": "test"}
    ended = run(verb, name, directory=tmp_path, PORT=str(free_ports(1)[0]), **settings)
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
    page = blocks(ROOT / "docs" / "telegram.md", "text")[0]
    assert set(_findings(page)) <= set(_findings(ended.stdout))


def _findings(text: str) -> list[str]:
    return [re.sub(r"@\w+", "@bot", " ".join(line.split())) for line in text.splitlines()]


@pytest.mark.processes
@pytest.mark.parametrize("command", commands("understudy init"))
def test_the_files_of_a_new_bot_are_written(command: str, tmp_path: Path) -> None:
    _, arguments = arguments_of(command)
    ended = run(*arguments, directory=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {".env", "agent.py"}


@pytest.mark.processes
@pytest.mark.parametrize("command", commands("understudy check"))
def test_a_recipe_has_no_leaks(command: str, tmp_path: Path) -> None:
    _, arguments = arguments_of(command)
    # In a new process, since the check searches the memory of its process, which a fork shares.
    ended = subprocess.run(
        [COMMAND, *arguments],
        cwd=ROOT,
        env=environment(tmp_path, **ACCOUNTS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", commands("understudy db copy"))
def test_a_database_is_copied(command: str, postgres: PostgresServer, database: str) -> None:
    ended = run("db", "copy", database, postgres.make(empty=True), directory=ROOT, **ACCOUNTS)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    "command", [each for each in commands("understudy") if not " ".join(arguments_of(each)[1]).startswith(ELSEWHERE)]
)
def test_any_other_command_runs(command: str, database: str, tmp_path: Path) -> None:
    given, arguments = arguments_of(command)
    settings = {"UNDERSTUDY_DATABASE_URL": database, **ACCOUNTS, **given}
    if given:  # before the app exists
        del settings["SLACK_BOT_TOKEN"], settings["SLACK_SIGNING_SECRET"]
    shown = [file_of(name, tmp_path) for name in arguments if name in FILES]
    ended = run(*arguments, directory=tmp_path if shown else ROOT, **settings)
    assert ended.returncode == 0, ended.stderr


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
