"""What a platform reports about messages that it took: stored in any order, waited for, and acted on."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.stage import IMPATIENT, TENANT, RecordingPresenter, Stage, StageChannel, Vault, stage, stage_timings
from typer.testing import CliRunner

from gateway.channels import (
    Delivery,
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    DeliveryReport,
    DeliveryStatus,
    RecipientUnreachableError,
    RetryLaterError,
    SignIn,
)
from gateway.cli.main import app
from gateway.operations.dead_letters import DeadLetters
from gateway.operations.retention import Retention
from toolkits import Conversation

PATIENT = stage_timings(sent_report=3600.0, due_interval=0.02, longest_pause=0.01)
HELD = "SELECT count(*) FROM outbox WHERE status = 'retrying'"
SENT, FAILED, DELIVERED, READ = (
    DeliveryStatus.SENT,
    DeliveryStatus.FAILED,
    DeliveryStatus.DELIVERED,
    DeliveryStatus.READ,
)


class ReportingPresenter(RecordingPresenter):
    """A presenter of a platform that reports deliveries. A `|` in an answer divides it into parts.

    Attributes:
        keys: the key of each message, in the order of `sent`.
        during: called with the key while a message is being sent, once the platform has it.
    """

    reports_delivery = True

    def __init__(self) -> None:
        super().__init__(streams=False)
        self.keys: list[str] = []
        self.during: Callable[[str], Awaitable[None]] | None = None

    def parts(self, markdown: str) -> list[str]:
        return markdown.split("|")

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str:
        platform_id = await super().send_text(conversation, text, reply_to, key=key)
        self.keys.append(key)
        if self.during is not None:
            await self.during(key)
        return platform_id

    async def send_sign_in(self, sign_in: SignIn) -> None:
        await super().send_sign_in(sign_in)
        self.keys.append(sign_in.key)


class Reported:
    """A stage with a platform that reports deliveries."""

    def __init__(self, directory: Path, database: str | None = None, **options: Any) -> None:
        self.presenter = ReportingPresenter()
        channel = StageChannel()
        channel.presenter = self.presenter
        options.setdefault("timings", PATIENT)
        self.stage: Stage = stage(directory, database=database, channel=channel, **options)

    @property
    def texts(self) -> list[str]:
        return [sent.text for sent in self.presenter.sent]

    async def report(self, status: DeliveryStatus, error: Exception | None = None, key: str = "", **of: str) -> bool:
        """Report the status of the last message, or of the one with this key, as the web process does."""
        place = {"channel": "stage", "tenant": TENANT} | of
        report = DeliveryReport(**place, key=key or self.presenter.keys[-1], status=status, error=error)
        return await self.stage.gateway.host.report_delivery(report)

    def rows(self, columns: str) -> list[Any]:
        return self.stage.rows(f"SELECT {columns} FROM outbox ORDER BY id")

    async def until(self, statement: str, count: int) -> None:
        await self.stage.wait_until_rows(f"SELECT count(*) FROM outbox WHERE {statement}", count)


async def test_reports_are_stored_whatever_their_order(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.until("status = 'sent' AND delivery_status = 'queued'", 1)
        assert [await scene.report(each) for each in (READ, DELIVERED, READ, SENT)] == [True, False, False, False]
        assert scene.rows("status, delivery_status") == [("sent", "read")]
        assert not await scene.report(FAILED, DeliveryRefusedError("too late"))
    assert scene.rows("status, delivery_status") == [("sent", "read")]


async def test_a_report_about_another_message_does_nothing(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.until("status = 'sent'", 1)
        assert not await scene.report(READ, key="of-another-program")
        assert not await scene.report(READ, tenant="T2")
        assert not await scene.report(READ, channel="another")
    assert scene.rows("delivery_status") == [("queued",)]


async def test_the_next_part_waits_until_the_one_before_is_sent_and_nobody_else_does(
    tmp_path: Path, database_url: str
) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two|three")
        await scene.stage.wait_until_rows(HELD, 1)
        first = scene.presenter.keys[0]
        await scene.stage.write("bob", "hello")
        await scene.stage.wait_for(2)
        assert scene.texts == ["heard: one", "heard: hello"]
        await scene.report(SENT, key=first)
        await scene.stage.wait_for(3)
        await scene.stage.wait_until_rows(HELD, 1)
        await scene.report(READ)
        await scene.stage.wait_for(4)
    assert scene.texts == ["heard: one", "heard: hello", "two", "three"]


async def test_the_next_answer_waits_too(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "one")
        await scene.stage.write("alice", "two")
        await scene.stage.wait_until_rows(HELD, 1)
        await scene.report(SENT)
        await scene.stage.wait_for(2)
    assert scene.texts == ["heard: one", "heard: two"]


async def test_a_sign_in_link_is_reported_too(tmp_path: Path, vault: Vault) -> None:
    scene = Reported(tmp_path, toolkits=[vault])
    async with scene.stage.open():
        await scene.stage.write("alice", "call open_vault")
        await scene.until("status = 'sent' AND delivery_status = 'queued'", 1)
        assert await scene.report(READ)
    assert scene.rows("kind, delivery_status") == [("sign_in", "read")]


async def test_without_a_report_the_next_part_is_sent_after_the_limit(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url, timings=IMPATIENT)
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.stage.wait_for(2)
    assert scene.texts == ["heard: one", "two"]


async def test_a_report_may_come_before_the_message_is_acknowledged(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)

    async def report(key: str) -> None:
        assert await scene.report(SENT, key=key)

    scene.presenter.during = report
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.until("status = 'sent' AND delivery_status = 'sent'", 2)
    assert scene.texts == ["heard: one", "two"]


async def test_a_failure_may_be_reported_before_the_message_is_acknowledged(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)

    async def fail(key: str) -> None:
        scene.presenter.during = None
        assert await scene.report(FAILED, RecipientUnreachableError("63024"), key=key)

    scene.presenter.during = fail
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.stage.wait_for(2)
        await scene.until("status = 'sent'", 1)
    assert scene.rows("status, delivery_status") == [("dead", "failed"), ("sent", "queued")]


@pytest.mark.parametrize(
    ("error", "told"), [(DeliveryRefusedError("63013: policy"), True), (RecipientUnreachableError("63016"), False)]
)
async def test_a_message_that_fails_after_the_platform_took_it_is_a_dead_letter(
    tmp_path: Path, database_url: str, error: Exception, told: bool
) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.stage.wait_until_rows(HELD, 1)
        assert await scene.report(FAILED, error)
        assert not await scene.report(FAILED, error)
        await scene.stage.wait_for(2)
        assert scene.texts[1] == "two"
        await scene.report(SENT)
        if told:
            await scene.stage.wait_for(3)
            assert "could not be delivered" in scene.texts[2]
        (letter,) = await DeadLetters(scene.stage.gateway.parts.backend.database).find()
    assert letter.delivery_status == "failed"
    assert str(error) in letter.reason
    assert len(scene.texts) == 2 + told


async def test_a_failure_that_may_pass_is_tried_again_with_another_key(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.report(FAILED, ConnectionError("63018: a limit"))
        await scene.stage.wait_for(2)
        first, second = scene.presenter.keys
        assert first != second
        assert not await scene.report(FAILED, ConnectionError("63018: a limit"), key=first)
        assert await scene.report(DELIVERED)
    assert scene.texts == ["heard: hello"] * 2
    assert scene.rows("status, delivery_status, attempts") == [("sent", "delivered", 2)]


async def test_a_failure_is_not_tried_again_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DELIVERY_TRIES", "2")
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.report(FAILED, ConnectionError("63018: a limit"))
        await scene.stage.wait_for(2)
        await scene.report(FAILED, ConnectionError("63018: a limit"))
        await scene.stage.wait_for(3)
    assert scene.rows("status, attempts")[0] == ("dead", 2)
    assert "could not be delivered" in scene.texts[2]


async def test_a_pause_that_a_failed_message_asks_for_is_kept(tmp_path: Path) -> None:
    scene = Reported(tmp_path)
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.stage.wait_until_rows(HELD, 1)
        await scene.report(FAILED, RetryLaterError(3600))
        await scene.stage.ask("bob", "hello")
    assert scene.texts == ["heard: one", "heard: hello"]
    assert scene.rows("status")[:2] == [("retrying",), ("waiting",)]


async def test_a_message_that_arrives_after_a_reported_failure_is_no_dead_letter(
    tmp_path: Path, database_url: str
) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.report(FAILED, RecipientUnreachableError("63024"))
        assert scene.rows("status") == [("dead",)]
        assert await scene.report(DELIVERED)
    assert scene.rows("status, delivery_status, error") == [("sent", "delivered", None)]


async def test_an_operator_may_retry_a_message_that_failed(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.report(FAILED, RecipientUnreachableError("63024"))
        letters = DeadLetters(scene.stage.gateway.parts.backend.database)
        await letters.retry(await letters.find())
        await scene.stage.wait_for(2)
        await scene.until("status = 'sent'", 1)
    assert scene.rows("delivery_status") == [("queued",)]


async def test_a_report_settles_an_ambiguous_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    scene = Reported(tmp_path, database_url, timings=stage_timings(sent_report=3600.0, longest_pause=0.01))

    async def lose_the_answer(key: str) -> None:
        scene.presenter.during = None
        assert await scene.report(SENT, key=key)
        raise DeliveryAmbiguousError("the answer was lost")

    async def was_sent(delivery: Delivery) -> bool:
        raise AssertionError("the platform need not be asked")

    monkeypatch.setattr(scene.presenter, "was_sent", was_sent)
    scene.presenter.during = lose_the_answer
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.until("status = 'sent'", 2)
    assert scene.texts == ["heard: one", "two"]
    assert scene.rows("delivery_status") == [("sent",), ("queued",)]


async def test_a_report_ends_the_wait_for_the_next_look_up(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url, timings=stage_timings(sent_report=3600.0, due_interval=3600.0))
    scene.presenter.during = _lost
    async with scene.stage.open():
        await scene.stage.write("alice", "one|two")
        await scene.stage.wait_until_rows(HELD, 1)
        scene.presenter.during = None
        await scene.report(SENT)
        await scene.stage.wait_for(2)
    assert scene.texts == ["heard: one", "two"]


async def test_another_process_continues(tmp_path: Path) -> None:
    first = Reported(tmp_path)
    async with first.stage.open():
        await first.stage.write("alice", "one|two|three")
        await first.stage.wait_until_rows(HELD, 1)
    key, second = first.presenter.keys[0], Reported(tmp_path)
    async with second.stage.open():
        assert await second.report(SENT, key=key)
        await second.stage.wait_for(1)
        await second.stage.wait_until_rows(HELD, 1)
    third = Reported(tmp_path, timings=IMPATIENT)
    await third.stage.change("UPDATE outbox SET status = 'waiting', due_at = NULL WHERE status = 'retrying'")
    async with third.stage.open():  # as if the process had died before it held the part back
        await third.stage.wait_for(1)
    assert (first.texts, second.texts, third.texts) == (["heard: one"], ["two"], ["three"])


async def test_a_report_settles_a_send_during_which_the_process_died(tmp_path: Path) -> None:
    first = Reported(tmp_path)
    async with first.stage.open():
        await first.stage.ask("alice", "hello")
        await first.until("status = 'sent'", 1)
        await first.report(DELIVERED)
    await first.stage.change("UPDATE outbox SET status = 'sending', sent_at = NULL")
    second = Reported(tmp_path)
    async with second.stage.open():
        await second.until("status = 'sent' AND delivery_status = 'delivered'", 1)
    assert second.texts == []


async def test_a_report_about_a_message_that_was_removed_does_nothing(tmp_path: Path, database_url: str) -> None:
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.until("status = 'sent'", 1)
        await Retention(scene.stage.gateway.parts.backend.database, timedelta(0)).remove()
        assert scene.rows("id") == []
        assert not await scene.report(FAILED, DeliveryRefusedError("too late"))
    assert scene.rows("id") == []


async def test_the_command_shows_what_was_reported_about_a_dead_letter(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    scene = Reported(tmp_path, database_url)
    async with scene.stage.open():
        await scene.stage.ask("alice", "hello")
        await scene.report(FAILED, RecipientUnreachableError("63016: the window is closed"))
    ((row_id,),) = scene.rows("id")
    shown = (await asyncio.to_thread(CliRunner().invoke, app, ["deadletters", "show", f"d{row_id}"])).stdout
    assert "delivery_status  failed\n" in shown
    assert "63016: the window is closed" in shown


async def _lost(key: str) -> None:
    raise DeliveryAmbiguousError("the answer was lost")
