"""Toolkits that leak through objects that several turns share: stores with a wrong key, threads, pools."""

import asyncio
import hashlib
import secrets
import sqlite3
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from toolkits import Identity, Toolkit, TurnContext, tool


class OneLockedUser(Toolkit):
    """A toolkit whose lock does not help: the second person waits, and then reads what the first has stored."""

    lock = threading.Lock()
    user: ClassVar[str] = ""

    @tool
    def whoami(self, text: str) -> str:
        """Return the person's text."""
        with self.lock:
            before, OneLockedUser.user = OneLockedUser.user, text
        return f"{before or text}"


class FirstOneWins(Toolkit):
    answer: ClassVar[str | None] = None

    @tool
    def ask(self, text: str) -> str:
        """Ask once, and return the answer to everybody."""
        if FirstOneWins.answer is None:
            FirstOneWins.answer = text
        return FirstOneWins.answer


_folder = tempfile.mkdtemp()


class FileByConversation(Toolkit):
    @tool
    def append(self, text: str, context: TurnContext) -> str:
        """Append to a file."""
        path = Path(_folder) / context.conversation.id
        path.write_text((path.read_text() if path.exists() else "") + text + "\n")
        return path.read_text()


_database = sqlite3.connect(":memory:", check_same_thread=False)
_database.execute("CREATE TABLE tokens (user_id TEXT PRIMARY KEY, token TEXT)")


class TableByUserId(Toolkit):
    """A toolkit that stores tokens by the user id, which is unique only within a tenant."""

    @tool
    async def load(self, context: TurnContext) -> str:
        """Load."""
        token = await context.credentials("fake")
        _database.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?)", (context.identity.user_id, token))
        query = "SELECT token FROM tokens WHERE user_id = ?"
        return f"loaded as {_database.execute(query, (context.identity.user_id,)).fetchone()[0]}"


class PoolWithoutReset(Toolkit):
    _clone_shared_attrs = ("clients",)

    def __init__(self) -> None:
        self.clients: list[dict[str, str]] = [{}, {}]

    @tool
    async def borrow(self, context: TurnContext) -> str:
        """Borrow a client."""
        client = self.clients.pop() if self.clients else {}
        client.setdefault("token", await context.credentials("fake"))
        await asyncio.sleep(0)
        self.clients.append(client)
        return f"called as {client['token']}"


class WorkerThread(Toolkit):
    @tool
    async def start(self, context: TurnContext) -> str:
        """Start a thread that outlives the turn."""
        token = await context.credentials("fake")

        def work(secret: str) -> None:
            _never.wait(len(secret) * 1000)

        if not any(thread.name == "zoo-worker" for thread in threading.enumerate()):
            threading.Thread(target=work, args=(token,), daemon=True, name="zoo-worker").start()
        return "started"


_never = threading.Event()


class RaceInThreads(Toolkit):
    token: ClassVar[str | None] = None

    @tool
    def call(self, context: TurnContext) -> str:
        """Call, and clean up."""
        RaceInThreads.token = context.credentials_sync("fake")
        time.sleep(0.002)
        token, RaceInThreads.token = RaceInThreads.token, None
        return f"called as {token}"


class FireAndForget(Toolkit):
    done: ClassVar[list[str]] = []

    @tool
    async def later(self, text: str) -> str:
        """Do something after a short time."""

        async def run() -> None:
            await asyncio.sleep(0.01)
            self.done.append(text)

        self.task = asyncio.create_task(run())
        return "soon"


def _hash(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


_by_hash: dict[str, str] = {}


class HashOfTheConversation(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note under a hash of the conversation."""
        place = context.conversation
        _by_hash[_hash(place.channel, place.tenant, place.id)] = text
        return "noted"


_by_message: dict[str, str] = {}


class KeyedByMessage(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note under the id of the message, which no later call looks up."""
        _by_message[_hash(context.message.id)] = text
        return "noted"


_by_name: dict[str, str] = {}


class KeyedByName(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note under a name, which two people may have."""
        _by_name[_hash(context.message.sender_name)] = text
        return "noted"


_by_chance: dict[str, str] = {}


class KeyedByChance(Toolkit):
    @tool
    def note(self, text: str) -> str:
        """Note under a new key each time."""
        _by_chance[secrets.token_hex(8)] = text
        return "noted"


_by_tenant: dict[str, dict[str, str]] = {}


class TwoLevelsWithoutThePerson(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note by tenant and conversation."""
        _by_tenant.setdefault(context.identity.tenant, {})[context.conversation.id] = text
        return "noted"


_rows: list[tuple[str, str]] = []


class RowsWithoutTheWholeOwner(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Add a row whose owner is a user id, which is unique only within a tenant."""
        _rows.append((context.identity.user_id, text))
        return "noted"


@dataclass
class _Last:
    owner: Identity | None = None
    text: str = ""


_last = _Last()


class LastOneWithOwner(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Keep the last writer and their text."""
        _last.owner, _last.text = context.identity, text
        return "noted"


class KeptMessages(Toolkit):
    messages: ClassVar[list[Any]] = []

    @tool
    def keep(self, context: TurnContext) -> str:
        """Keep the message itself."""
        self.messages.append(context.message)
        return "kept"


LEAKY_STORES: dict[type[Toolkit], str] = {
    OneLockedUser: "the result of whoami",
    FirstOneWins: "FirstOneWins.answer",
    FileByConversation: "the result of append",
    TableByUserId: "the result of load",
    PoolWithoutReset: "clients",
    WorkerThread: "zoo-worker|threading._active",
    RaceInThreads: "the result of call",
    FireAndForget: "FireAndForget.done",
    HashOfTheConversation: "_by_hash",
    KeyedByMessage: "_by_message",
    KeyedByName: "_by_name",
    KeyedByChance: "_by_chance",
    TwoLevelsWithoutThePerson: "_by_tenant",
    RowsWithoutTheWholeOwner: "_rows",
    LastOneWithOwner: "_last",
    KeptMessages: "KeptMessages.messages",
}
