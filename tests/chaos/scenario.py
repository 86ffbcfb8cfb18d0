"""Send messages on all channels while processes, the database and platforms fail, and check each answer."""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos.cluster import Cluster
from chaos.lines import DUPLICATES, REDELIVERY, Line, SlackThread, TelegramChat, WhatsAppNumber
from peers.emulate.server import Emulate
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from sqlalchemy import create_engine, text

from gateway.channels.sentences import SENT_AGAIN

KILLED_AT_START = 0.02  # the chance, ten times a second, that a process is killed while others still start
LINES = 4  # conversations on each channel
SETTLE = 120.0  # seconds after the last message, in which every message has to be answered
ANSWER = re.compile(r"answer to (\w+-\d+)")
WHOLE = re.compile(r"answer to \w+-\d+( \d+)*\.")
KINDS = ("n", "m", "m", "p")  # the first letters of tokens: call `note`, call no tool (twice), call `pay`
INTERRUPTED = re.compile(r"\s*I was interrupted while I used .*", re.DOTALL)
# The card of a question that somebody answered before the gateway had recorded that the card was sent.
DECIDED = "kind IN ('question', 'private_question') AND status = 'dropped'"
DECIDED_WITHIN = 90.0  # seconds in which a question has to be asked and the message answered
PATIENCE = 2.0  # seconds after which people press a button again


@dataclass
class Report:
    """The numbers of a run, and the mistakes that the gateway made.

    Attributes:
        seconds: how long messages were sent.
        accepted: messages that the gateway has acknowledged.
        duplicates: repeated deliveries that the gateway has acknowledged.
        refused: deliveries that failed and were retried.
        killed: processes that were killed.
        database_restarts: restarts of the database server.
        failures: scripted failures of the platforms.
        approved: tool calls that people have approved.
        answered: accepted messages that were answered.
        left: previews that are left, although all turns have ended.
        ambiguous: sends of which the gateway could not know whether they had succeeded.
        sent_again: answers that say that people may have read them before.
        ambiguous_calls: tool calls of which the gateway could not know whether they had been made.
        wrong: the mistakes, in one sentence each.
    """

    seconds: float = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    killed: int = 0
    database_restarts: int = 0
    failures: int = 0
    approved: int = 0
    answered: int = 0
    left: int = 0
    ambiguous: int = 0
    sent_again: int = 0
    ambiguous_calls: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = (f"{name.replace('_', ' ')}: {value}" for name, value in vars(self).items() if name != "wrong")
        return ", ".join(numbers) + "".join(f"\n  WRONG: {each}" for each in self.wrong)


class Scenario:
    """Sends messages while processes are killed, waits until all work is done, and checks the answers.

    Args:
        trace: the file to which the agent's tools write.
        seconds: how long messages are sent.
        kill_every: the longest usual pause between two kills, in seconds.
        seed: the seed of all random choices.
        restart_database: restarts the database server, if there is one.
    """

    def __init__(
        self,
        cluster: Cluster,
        emulate: Emulate,
        telegram: TelegramServer,
        database: str,
        trace: Path,
        *,
        seconds: float,
        kill_every: float,
        seed: int,
        restart_database: Callable[[], None] | None = None,
    ) -> None:
        self._cluster = cluster
        self._emulate = emulate
        self._telegram = telegram
        self._database = database
        self._trace = trace
        self._seconds = seconds
        self._kill_every = kill_every
        self._seed = seed
        self._restart_database = restart_database
        self._lines: list[Line] = []
        for number in range(LINES):
            self._lines.append(SlackThread(number, cluster.urls, emulate))
            self._lines.append(TelegramChat(number, cluster.urls, telegram))
            self._lines.append(WhatsAppNumber(number, cluster.urls, emulate))
        self._over = threading.Event()
        self._accepted: Mapping[str, list[str]] = {line.name: [] for line in self._lines}
        self._lock = threading.Lock()
        self.report = Report(seconds=seconds)

    def run(self) -> Report:
        senders = [threading.Thread(target=self._send, args=(line, number)) for number, line in enumerate(self._lines)]
        breakers = [threading.Thread(target=each) for each in (self._kill, self._fail)]
        for thread in (*senders, *breakers):
            thread.start()
        time.sleep(self._seconds / 2)
        if self._restart_database is not None:
            self._restart_database()
            self.report.database_restarts += 1
        time.sleep(self._seconds / 2)
        self._over.set()
        for thread in (*breakers, *senders):
            thread.join()
        self.report.accepted = sum(map(len, self._accepted.values()))
        self.report.killed = self._cluster.killed
        wait_until(self._is_settled, SETTLE, "all messages are answered")
        self._check()
        return self.report

    def _send(self, line: Line, number: int) -> None:
        """Send one message after the other. Retry each until it is accepted, and repeat some that were accepted."""
        chance = random.Random(self._seed * 1000 + number)
        sequence = 0
        while not self._over.is_set():
            token = f"{KINDS[sequence % len(KINDS)]}{line.name}-{sequence}"
            sequence += 1
            event = line.event(token)
            while not line.deliver(event, chance):
                with self._lock:
                    self.report.refused += 1
                time.sleep(REDELIVERY)
            self._accepted[line.name].append(token)
            if chance.random() < DUPLICATES:
                with self._lock:
                    self.report.duplicates += line.deliver(event, chance)
            if token[0] == "p":
                self._approve(line, token, chance)
            time.sleep(chance.uniform(0.1, 0.6))

    def _approve(self, line: Line, token: str, chance: random.Random) -> None:
        """Wait until the bot asks for approval, and press as a stranger and as its person until it has answered."""
        deadline = time.monotonic() + DECIDED_WITHIN
        has_pressed = False
        while not self._is_answered(line, token) and time.monotonic() < deadline:
            presses = line.approvals(token)
            for press in presses:
                while not line.deliver_press(press, chance):
                    with self._lock:
                        self.report.refused += 1
                    time.sleep(REDELIVERY)
            has_pressed = has_pressed or bool(presses)
            time.sleep(PATIENCE if presses else 0.1)
        with self._lock:
            self.report.approved += has_pressed
        if not has_pressed:
            self.report.wrong.append(f"nobody was asked about {token}")

    def _is_answered(self, line: Line, token: str) -> bool:
        return token in {match[1] for said in line.read() for match in ANSWER.finditer(said)}

    def _kill(self) -> None:
        """Kill one process after the other, usually once all of them run, and sometimes before that."""
        chance = random.Random(self._seed)
        while not self._over.is_set():
            while chance.random() > KILLED_AT_START and not self._cluster.is_up() and not self._over.wait(0.1):
                self._cluster.revive()
            if not self._over.wait(self._kill_every * chance.uniform(0.1, 1.1)):
                self._cluster.kill_one(chance)

    def _fail(self) -> None:
        """Make the platforms fail now and then, before or after they carry out a call."""
        chance = random.Random(self._seed + 1)
        slack, twilio = "/api/chat.postMessage", f"/2010-04-01/Accounts/{self._emulate.account_sid}/Messages.json"
        failures: list[Callable[[], None]] = [
            lambda: self._emulate.slack.fail(slack, 500),
            lambda: self._emulate.slack.fail(slack, 500, after=True),
            lambda: self._emulate.slack.fail(slack, 429, headers={"Retry-After": "1"}),
            lambda: self._telegram.fail("sendMessage", 502),
            lambda: self._telegram.fail("sendMessage", retry_after=1),
            lambda: self._emulate.twilio.fail(twilio, 500, method="POST"),
            lambda: self._emulate.twilio.fail(twilio, 503, method="POST", after=True),
            lambda: self._emulate.twilio.fail(twilio, 429, method="POST", headers={"Retry-After": "1"}),
        ]
        while not self._over.wait(chance.uniform(0.2, 0.8)):
            if self._cluster.is_ready():  # without calls, the scripted failures would accumulate
                chance.choice(failures)()
                self.report.failures += 1
        for server in (self._emulate.slack, self._emulate.twilio, self._telegram):
            server.heal()

    def _is_settled(self) -> bool:
        self._cluster.revive()
        unfinished = (
            "SELECT (SELECT count(*) FROM inbox WHERE status NOT IN ('done', 'dead', 'expired'))"
            f" + (SELECT count(*) FROM outbox WHERE status NOT IN ('sent', 'dead') AND NOT ({DECIDED}))"
        )
        return self._rows(unfinished) == [(0,)]

    def _check(self) -> None:
        report = self.report
        for line in self._lines:
            said = line.read()
            found = [(match[1], SENT_AGAIN in words) for words in said for match in ANSWER.finditer(words)]
            whole = [
                INTERRUPTED.sub("", words.replace(SENT_AGAIN, "")).strip() for words in said if ANSWER.search(words)
            ]
            report.wrong += [f"{words!r} is not a whole answer" for words in whole if not WHOLE.fullmatch(words)]
            report.left += line.previews()
            count = Counter(token for token, _ in found)
            again = Counter(token for token, is_marked in found if is_marked)
            accepted = self._accepted[line.name]
            report.answered += len(count.keys() & set(accepted))
            report.sent_again += sum(again.values())
            report.wrong += [f"{token} was not answered" for token in accepted if token not in count]
            # An answer may come again if it says that people may have read it before.
            report.wrong += [f"{token} was answered {count[token]} times" for token in count
                             if count[token] - again[token] > 1]  # fmt: skip
            firsts = list(dict.fromkeys(token for token, _ in found))
            if firsts != sorted(firsts, key=accepted.index):
                report.wrong.append(f"{line.name} was answered out of order: {firsts}")
        called = Counter(self._trace.read_text().split()) if self._trace.exists() else Counter()
        report.wrong += [f"a tool was called {count} times for {token}" for token, count in called.items() if count > 1]
        [(report.ambiguous,)] = self._rows("SELECT count(*) FROM outbox WHERE ambiguous")
        [(report.ambiguous_calls,)] = self._rows("SELECT count(*) FROM audit WHERE outcome = 'ambiguous'")
        for status, error in self._rows("SELECT status, error FROM inbox WHERE status <> 'done'"):
            report.wrong.append(f"a message is {status}: {error}")
        for status, error in self._rows(f"SELECT status, error FROM outbox WHERE status <> 'sent' AND NOT ({DECIDED})"):
            report.wrong.append(f"a delivery is {status}: {error}")

        # If a process dies after it has posted a preview and before it stores the id, Telegram cannot be asked for it.
        if report.left > self._cluster.said("a preview may stay in"):
            report.wrong.append(f"{report.left} previews are left")

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        engine = create_engine(self._database.replace("postgresql:", "postgresql+psycopg:"))
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement))]
        finally:
            engine.dispose()
