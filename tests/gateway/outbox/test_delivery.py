"""Deliveries: their order, their retries, and the ones that fail."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from peers.wait import wait_until_async
from support.stage import IMPATIENT, Stage, place, stage, stage_timings

from gateway import Conversation
from gateway.channels.errors import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    RecipientUnreachableError,
    RetryLaterError,
)
from gateway.channels.event import Event
from gateway.channels.presenter import Delivery
from gateway.channels.sentences import SENT_AGAIN
from gateway.outbox.delivery import UNDELIVERED


def texts(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent]


async def test_a_failed_delivery_is_tried_again_before_what_follows(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    scene.channel.presenter.failures += [ConnectionError("refused")] * 3
    async with scene.open():
        for number in range(4):
            await scene.write("alice", str(number))
        await scene.wait_for(4)
    assert texts(scene) == [f"heard: {number}" for number in range(4)]


async def test_a_delivery_that_always_fails_is_a_dead_letter_and_the_person_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DELIVERY_TRIES", "3")
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    scene.channel.presenter.failures += [ConnectionError("token=hunter2 refused")] * 3
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_for(1)
        assert await scene.ask("alice", "two") == "heard: two"
    [(reference, error)] = scene.rows("SELECT reference, error FROM outbox WHERE status = 'dead'")
    assert texts(scene)[0] == f"Sorry, I had something to say here that could not be delivered (reference {reference})."
    assert error == "ConnectionError: token=*** refused"


@pytest.mark.parametrize(
    ("refusal", "told"), [(DeliveryRefusedError("too odd"), True), (RecipientUnreachableError("blocked"), False)]
)
async def test_a_refused_delivery_is_not_tried_again(tmp_path: Path, refusal: Exception, told: bool) -> None:
    scene = stage(tmp_path)
    scene.channel.presenter.failures.append(refusal)
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 1)
        await scene.write("alice", "two")
        await scene.wait_for(1 + told)
    assert texts(scene)[-1] == "heard: two"
    assert ("could not be delivered" in texts(scene)[0]) == told


async def test_a_pause_that_a_platform_asks_for_is_kept_only_for_that_tenant(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    scene.channel.presenter.failures.append(RetryLaterError(3600, is_for_tenant=True))
    async with scene.open():
        await scene.write("alice", "first")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        await scene.write("bob", "of the same tenant")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 2)
        assert await scene.ask("carol", "of another", tenant="T2") == "heard: of another"
        assert texts(scene) == ["heard: of another"]
        await scene.change("UPDATE pauses SET until = '2000-01-01 00:00:00.000000'")
        await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000' WHERE status = 'retrying'")
        await scene.wait_for(3)
    # The pause does not count as a try.
    assert sorted(scene.rows("SELECT attempts FROM outbox")) == [(1,), (1,), (1,)]


async def test_a_pause_for_one_conversation_does_not_delay_others(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    scene.channel.presenter.failures.append(RetryLaterError(3600))
    async with scene.open():
        await scene.write("alice", "first")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        assert await scene.ask("bob", "of the same tenant") == "heard: of the same tenant"
        await scene.write("alice", "second")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'waiting'", 1)
        assert texts(scene) == ["heard: of the same tenant"]


@pytest.mark.parametrize(
    "seconds",
    [99999999999999, 10**400, float("inf"), float("nan"), -1e9],
    ids=["long", "longer", "inf", "nan", "negative"],
)
async def test_a_platform_that_asks_for_an_impossible_pause_gets_a_possible_one(
    tmp_path: Path, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path)
    scene.channel.presenter.failures.append(RetryLaterError(seconds))
    async with scene.open():
        await scene.write("alice", "hello")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        await scene.change("UPDATE pauses SET until = '2000-01-01 00:00:00.000000'")
        await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000' WHERE status = 'retrying'")
        await scene.wait_for(1)
    assert scene.rows("SELECT attempts FROM outbox") == [(1,)]
    assert "Traceback" not in caplog.text


async def test_an_answer_that_may_have_arrived_is_sent_again_with_a_mark(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    scene.channel.presenter.failures.append(DeliveryAmbiguousError("the answer was lost"))
    async with scene.open():
        assert await scene.ask("alice", "hello") == f"{SENT_AGAIN}\nheard: hello"
    assert scene.rows("SELECT count(*) FROM outbox WHERE ambiguous") == [(1,)]


async def test_an_operator_may_have_ambiguous_deliveries_dropped_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_AMBIGUOUS_SENDS", "drop")
    scene = stage(tmp_path, timings=IMPATIENT)
    scene.channel.presenter.failures.append(DeliveryAmbiguousError("the answer was lost"))
    async with scene.open():
        await scene.write("alice", "one")
        assert await scene.ask("alice", "two") == "heard: two"
    [(error,)] = scene.rows("SELECT error FROM outbox WHERE status = 'dead'")
    assert "UNDERSTUDY_AMBIGUOUS_SENDS" in error


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_platform_that_can_tell_is_asked_whether_an_ambiguous_delivery_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    scene = stage(tmp_path, timings=IMPATIENT)
    asked: list[Delivery] = []

    async def was_sent(delivery: Delivery) -> bool:
        asked.append(delivery)
        if len(asked) == 1:
            raise ConnectionError("the look-up itself is tried again")
        return arrived

    monkeypatch.setattr(scene.channel.presenter, "was_sent", was_sent)
    scene.channel.presenter.failures.append(DeliveryAmbiguousError("the answer was lost"))
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE ambiguous", 1)
        await scene.write("bob", "two")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 2)
    assert asked[-1].text == "heard: one"
    assert sorted(texts(scene)) == (["heard: two"] if arrived else ["heard: one", "heard: two"])


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_look_up_that_the_platform_postpones_does_not_count_as_a_try_and_delays_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, arrived: bool
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DELIVERY_TRIES", "2")
    scene = stage(tmp_path, database=database_url, timings=stage_timings(due_interval=0.02))
    put_off = [RetryLaterError(3600)] * 3

    async def was_sent(delivery: Delivery) -> bool:
        if put_off:
            raise put_off.pop()
        return arrived

    monkeypatch.setattr(scene.channel.presenter, "was_sent", was_sent)
    scene.channel.presenter.failures.append(DeliveryAmbiguousError("the answer was lost"))
    due = "SELECT count(*) FROM outbox WHERE status = 'retrying' AND error LIKE '%RetryLaterError%'"
    async with scene.open():
        await scene.write("alice", "one")
        while put_off:
            await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
            left = len(put_off)
            await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000'")
            await wait_until_async(lambda left=left: len(put_off) < left, what="it is looked up")
        await scene.wait_until_rows(due, 1)
        assert await scene.ask("bob", "two") == "heard: two"
        assert texts(scene) == ["heard: two"]
        assert scene.rows("SELECT count(*) FROM pauses") == [(0,)]
        [(wait,)] = scene.rows("SELECT attempts FROM outbox WHERE status = 'retrying'")
        assert wait == 1
        await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000'")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 2)
    assert texts(scene) == (["heard: two"] if arrived else ["heard: two", "heard: one"])


async def test_a_delivery_during_which_the_process_died_is_ambiguous(tmp_path: Path) -> None:
    first = stage(tmp_path)
    async with first.open():
        await first.ask("alice", "hello")
    await first.change("UPDATE outbox SET status = 'sending'")
    second = stage(tmp_path)
    async with second.open():
        assert (await second.wait_for(1))[0].text == f"{SENT_AGAIN}\nheard: hello"


async def test_an_answer_of_many_parts_is_continued_with_the_part_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    monkeypatch.setattr(scene.channel.presenter, "parts", lambda text: [f"{text} {part}" for part in range(4)])
    real = scene.channel.presenter.send_text
    calls = 0

    async def send_text(*args: object, key: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionError("down for a moment")
        await real(*args, key=key)  # type: ignore[arg-type]

    monkeypatch.setattr(scene.channel.presenter, "send_text", send_text)
    async with scene.open():
        await scene.write("alice", "x")
        await scene.wait_for(4)
    assert texts(scene) == [f"heard: x {part}" for part in range(4)]


async def test_messages_and_answers_older_than_the_limit_are_dropped_after_an_outage(
    tmp_path: Path, database_url: str
) -> None:
    first = stage(tmp_path, database=database_url)
    async with first.open():
        await first.ask("alice", "hello")
    await first.change("UPDATE outbox SET status = 'waiting', created_at = '2020-01-01 00:00:00.000000'")
    await first.change("UPDATE inbox SET status = 'waiting', accepted_at = '2020-01-01 00:00:00.000000'")
    second = stage(tmp_path, database=database_url)
    async with second.open():
        assert await second.ask("alice", "today", id="later") == "heard: today"
    assert texts(second) == ["heard: today"]
    assert second.rows("SELECT status FROM inbox ORDER BY id") == [("expired",), ("done",)]
    assert second.rows("SELECT status FROM outbox ORDER BY id") == [("dead",), ("sent",)]


async def test_a_message_outside_the_reply_window_is_a_dead_letter_with_that_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)
    monkeypatch.setattr(type(scene.channel.presenter), "reply_window", timedelta(hours=24))
    async with scene.open():
        await scene.ask("alice", "hello")
        await scene.gateway.send(place("dm-alice"), "within the window")
        await scene.gateway.send(place("dm-bob"), "to somebody who never wrote")
        await scene.wait_for(2)
        await scene.change("UPDATE conversations SET last_accepted_at = '2020-01-01 00:00:00.000000'")
        await scene.gateway.send(place("dm-alice"), "too late")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 2)
    assert texts(scene) == ["heard: hello", "within the window"]
    assert {error for (error,) in scene.rows("SELECT error FROM outbox WHERE status = 'dead'")} == {
        "stage takes messages only within 24 hours of the person's last message."
    }


async def test_an_answer_that_was_not_sent_is_sent_by_the_next_process(tmp_path: Path) -> None:
    first = stage(tmp_path)
    async with first.open():
        await first.ask("alice", "hello")
    await first.change("UPDATE outbox SET status = 'waiting'")
    second = stage(tmp_path)
    async with second.open():
        assert (await second.wait_for(1))[0].text == "heard: hello"


@pytest.mark.parametrize("refusal", [DeliveryRefusedError, RecipientUnreachableError, ConnectionError])
@pytest.mark.long
async def test_a_person_is_told_once_of_a_message_of_many_parts_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refusal: type[Exception]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DELIVERY_TRIES", "2")
    scene = stage(tmp_path, timings=IMPATIENT)
    presenter = scene.channel.presenter
    monkeypatch.setattr(presenter, "parts", lambda text: text.split(" "))
    presenter.failures = [refusal("no") for _ in range(1000)]
    async with scene.open():
        caplog.set_level(logging.INFO)
        await scene.write("alice", " ".join(str(number) for number in range(50)))
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE kind = 'text' AND status = 'dead'", 51)
        notices = scene.rows("SELECT count(*) FROM outbox WHERE kind = 'notice'")[0][0]
    assert notices == (
        0 if refusal is RecipientUnreachableError else len(UNDELIVERED.split(" "))
    )  # one notice, in parts
    lines = [record for record in caplog.records if "delivery d" in record.getMessage()]
    assert 1 <= len(lines) <= 6


async def test_a_delivery_in_which_the_library_raises_cancelled_error_is_tried_again(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, max_concurrent_turns=1, timings=IMPATIENT)
    scene.channel.presenter.failures = [asyncio.CancelledError()]  # type: ignore[list-item]
    async with scene.open():
        await scene.write("alice", "hello")
        await scene.wait_for(1)
        assert await scene.ask("bob", "hi") == "heard: hi"
    assert [sent.text.splitlines()[-1] for sent in scene.sent] == ["heard: hello", "heard: hi"]


@pytest.mark.parametrize(("status", "ambiguous"), [("retrying", False), ("sending", True)])
async def test_answers_to_a_channel_that_is_no_longer_configured_become_dead_letters(
    tmp_path: Path, database_url: str, status: str, ambiguous: bool
) -> None:
    scene = stage(tmp_path, database=database_url, max_concurrent_turns=1, timings=IMPATIENT)
    async with scene.open():
        await scene.ask("alice", "hello")
    scene.rows(f"UPDATE outbox SET status = '{status}', due_at = '2020-01-01 00:00:00'")
    scene.rows("UPDATE conversations SET channel = 'gone'")
    gone = Conversation("gone", "T1", "dm-alice", shared=False)
    async with scene.open():
        await scene.gateway.host.accept(Event("g1", gone, "{}"))  # a message has a worker drain the conversation
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 1)
        assert await scene.ask("bob", "hello") == "heard: hello"
    (error, is_ambiguous), *_ = scene.rows("SELECT error, ambiguous FROM outbox WHERE status = 'dead'")
    assert error == "The channel 'gone' is not configured, so nothing can be sent there."
    assert bool(is_ambiguous) is ambiguous


async def test_hanging_deliveries_of_one_tenant_do_not_delay_turns_of_another(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, max_concurrent_turns=2)
    hangs, answers = asyncio.Event(), 0
    send_text = scene.channel.presenter.send_text

    async def send(conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        nonlocal answers
        if conversation.tenant == "T1":
            answers += 1
            await hangs.wait()
        await send_text(conversation, text, reply_to, key=key)

    scene.channel.presenter.send_text = send  # type: ignore[method-assign]
    async with scene.open():
        for number in range(6):
            await scene.write("alice", f"hello {number}", f"dm-{number}")
        await scene.wait_until(lambda: answers == 6)
        assert await scene.ask("bob", "hello", tenant="T2") == "heard: hello"
        hangs.set()
        await scene.wait_for(7)
