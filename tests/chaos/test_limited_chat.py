"""A chat that the platform always rate-limits slows nobody else.

With `make chaos`, the test prints the median delay of the other chats with such a chat and without it.
"""

import itertools
import random
import statistics
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.cluster import Cluster
from chaos.lines import TelegramChat
from chaos.test_chaos import SECONDS
from e2e.served import platform_environment
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

GROUP = updates.GROUP["id"]
IN_GROUP = 10  # messages in the limited group
PEOPLE = 8
PAUSE = 0.2  # seconds between two messages
RETRY_AFTER = 1  # seconds of each refusal, so that the gateway often tries again
SHOWING = ("sendMessage", "editMessageText")
SETTLE = 60.0  # seconds in which everybody is answered


class Chats:
    """A gateway's private chats, and a group that the platform may limit."""

    def __init__(self, cluster: Cluster, telegram: TelegramServer) -> None:
        self._telegram = telegram
        self._lines = [TelegramChat(number, cluster.urls, telegram) for number in range(PEOPLE)]
        self._chance = random.Random(1)
        self._tokens = tokens()

    def median_delay(self, seconds: float) -> float:
        """Write messages in the private chats for some seconds; return the median delay of the answers in seconds."""
        sent: dict[str, float] = {}
        until = time.monotonic() + seconds
        for line in itertools.cycle(self._lines):
            if time.monotonic() > until:
                break
            token = next(self._tokens)
            sent[token] = time.monotonic()
            assert line.deliver(line.event(token), self._chance)
            time.sleep(PAUSE)
        wait_until(lambda: sent.keys() <= self._answered().keys(), SETTLE, "the people are answered")
        answered = self._answered()
        return statistics.median(answered[token] - at for token, at in sent.items())

    def write_in_group(self) -> list[str]:
        """Write messages in the group; return the expected answers."""
        expected = []
        for _ in range(IN_GROUP):
            token = next(self._tokens)
            update = updates.group_mention(f"@{updates.BOT_USERNAME} {token}")
            self._telegram.api.took(update)
            assert self._lines[0].deliver(update, self._chance)
            expected.append(f"answer to {token}.")
        return expected

    def _answered(self) -> dict[str, float]:
        """Return when each answer was sent in a private chat, or completed its preview there, by its token."""
        shown = [call for call in self._telegram.calls if call.method in SHOWING and call.status == 200]
        return {
            call.params["text"].removeprefix("answer to ").removesuffix("."): call.at
            for call in shown
            if call.params["chat_id"] != GROUP
        }


def tokens() -> Iterator[str]:
    """Yield tokens that the agent answers at once, in one message and without a tool: see chaos/bot.py."""
    for number in itertools.count():
        token = f"m-{number}"
        chance = zlib.crc32(token.encode())
        if chance % 4 != 1 and chance % 100 < 10:
            yield token


def run(directory: Path, database: str, emulate: Emulate, telegram: TelegramServer, workers: int) -> None:
    env = {
        "CHAOS_TRACE": str(directory / "trace.txt"),
        "UNDERSTUDY_DATABASE_URL": database,
        **platform_environment(emulate, telegram),
    }
    cluster = Cluster(directory, env, webs=1, workers=workers)
    env["UNDERSTUDY_BASE_URL"] = cluster.urls[0]
    cluster.start()
    telegram.limit()
    try:
        chats = Chats(cluster, telegram)
        without = chats.median_delay(SECONDS / 2)
        telegram.refuse(GROUP, RETRY_AFTER)
        expected = chats.write_in_group()
        with_it = chats.median_delay(SECONDS / 2)
        refused = [call.params["chat_id"] for call in telegram.calls if call.status == 429]
        assert telegram.said(GROUP) == []
        assert set(refused) == {GROUP}
        telegram.accept(GROUP)
        wait_until(lambda: telegram.said(GROUP) == expected, SETTLE, "the group is answered in order")
    except BaseException as error:
        error.add_note(cluster.output())
        raise
    finally:
        cluster.stop()
    print(
        f"\n{directory.name}: median delay {1000 * without:.0f} ms, with a limited chat {1000 * with_it:.0f} ms "
        f"(ratio {with_it / without:.2f}), refusals in that chat: {len(refused)}"
    )


@pytest.mark.timeout(SECONDS + 300)
def test_on_sqlite_a_limited_chat_is_answered_once_it_may_be_and_the_others_meanwhile(
    tmp_path: Path, emulate: Emulate, telegram: TelegramServer
) -> None:
    run(tmp_path, f"sqlite:///{tmp_path}/chaos.db", emulate, telegram, workers=0)


@pytest.mark.timeout(SECONDS + 300)
def test_on_postgresql_a_limited_chat_is_answered_once_it_may_be_and_the_others_meanwhile(
    tmp_path: Path, emulate: Emulate, telegram: TelegramServer, postgres: PostgresServer
) -> None:
    run(tmp_path, postgres.make(), emulate, telegram, workers=2)
