"""What is sent: tried again, in order, once; and what becomes of it when that cannot be."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers.wait import wait_until_async
from stage import IMPATIENT, Stage, place, stage, stage_timings

from gateway import Conversation, SettingError
from gateway.channels.errors import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    RecipientUnreachableError,
    RetryLaterError,
)
from gateway.channels.presenter import Delivery
from gateway.channels.sentences import SENT_AGAIN

LATER = timedelta(hours=1)


def texts(scene: Stage, where: str | None = None) -> list[str]:
    return [sent.text for sent in scene.sent if where in (None, sent.conversation)]


async def test_what_a_platform_does_not_take_is_tried_again_before_what_follows(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    scene.channel.presenter.failures += [ConnectionError("refused")] * 3
    async with scene.open():
        for number in range(4):
            await scene.write("alice", str(number))
        await scene.wait_for(4)
    assert texts(scene) == [f"heard: {number}" for number in range(4)]


async def test_what_is_never_taken_is_a_dead_letter_and_the_person_is_told(
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
async def test_what_is_refused_is_not_tried_again(tmp_path: Path, refusal: Exception, told: bool) -> None:
    scene = stage(tmp_path)
    scene.channel.presenter.failures.append(refusal)
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 1)
        await scene.write("alice", "two")
        await scene.wait_for(1 + told)
    assert texts(scene)[-1] == "heard: two"
    assert ("could not be delivered" in texts(scene)[0]) == told


async def test_a_tenant_that_asks_for_a_pause_gets_one_and_no_other_does(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    scene.channel.presenter.failures.append(RetryLaterError(3600))
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
    # It counts as no try.
    assert sorted(scene.rows("SELECT attempts FROM outbox")) == [(1,), (1,), (1,)]


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
        await scene.wait_until_rows("SELECT count(*) FROM pauses", 1)
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


async def test_an_operator_may_have_it_dropped_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_AMBIGUOUS_SENDS", "drop")
    scene = stage(tmp_path, timings=IMPATIENT)
    scene.channel.presenter.failures.append(DeliveryAmbiguousError("the answer was lost"))
    async with scene.open():
        await scene.write("alice", "one")
        assert await scene.ask("alice", "two") == "heard: two"
    [(error,)] = scene.rows("SELECT error FROM outbox WHERE status = 'dead'")
    assert "UNDERSTUDY_AMBIGUOUS_SENDS" in error


@pytest.mark.parametrize("arrived", [True, False])
async def test_where_the_platform_tells_what_arrived_it_is_asked(
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
async def test_a_look_up_that_the_platform_puts_off_is_no_failure_and_holds_up_nobody_else(
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


async def test_what_was_being_sent_when_the_process_died_counts_as_ambiguous(tmp_path: Path) -> None:
    first = stage(tmp_path)
    async with first.open():
        await first.ask("alice", "hello")
    await first.change("UPDATE outbox SET status = 'sending'")
    second = stage(tmp_path)
    async with second.open():
        assert (await second.wait_for(1))[0].text == f"{SENT_AGAIN}\nheard: hello"


async def test_a_long_answer_goes_on_with_the_part_that_was_next(
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


async def test_what_is_older_than_the_limit_is_neither_answered_nor_sent_after_an_outage(
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


async def test_a_message_can_be_sent_first_and_later(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await scene.gateway.send(place("dm-alice"), "good morning")
        await scene.wait_for(1)
        await scene.gateway.send(place("dm-alice"), "much later", at=datetime.now(UTC) + LATER)
        in_a_moment = datetime.now(UTC) + timedelta(seconds=0.5)
        await scene.gateway.send(place("dm-alice"), "in a moment", at=in_a_moment)
        await scene.wait_for(2)
        assert datetime.now(UTC) >= in_a_moment
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert scene.rows("SELECT count(*) FROM outbox WHERE status = 'scheduled'") == [(1,)]
    assert texts(scene) == ["good morning", "in a moment", "heard: hello"]


async def test_what_is_sent_under_one_key_is_sent_once(tmp_path: Path, database_url: str) -> None:
    scene, other = stage(tmp_path, database=database_url), stage(tmp_path, database=database_url)
    async with scene.open():
        sending = [scene.gateway.send(place("dm-alice"), "news", key="2026-11-21") for _ in range(5)]
        if scene.worker is not None:  # another replica
            async with other.gateway.lifespan():
                sending += [other.gateway.send(place("dm-alice"), "news", key="2026-11-21") for _ in range(5)]
                references = await asyncio.gather(*sending)
        else:
            references = await asyncio.gather(*sending)
        assert await scene.gateway.send(place("dm-alice", "T2"), "news", key="2026-11-21")
        await scene.wait_for(2)
        assert await scene.ask("alice", "hello") == "heard: hello"
    assert len([reference for reference in references if reference]) == 1
    assert texts(scene) == ["news", "news", "heard: hello"]


async def test_a_message_that_cannot_be_sent_is_named(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        with pytest.raises(SettingError, match="no channel 'slack'"):
            await scene.gateway.send(Conversation("slack", "T", "C", shared=False), "hello")
        with pytest.raises(ValueError, match="time zone"):
            await scene.gateway.send(place("dm-alice"), "hello", at=datetime(2030, 1, 1))  # noqa: DTZ001


async def test_what_a_platform_no_longer_allows_is_a_dead_letter_with_that_reason(
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
        "stage takes messages only within 24 hours of the person's last one."
    }


async def test_a_message_whose_model_fails_is_tried_again_and_others_go_on(tmp_path: Path, database_url: str) -> None:
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
    from pydantic_ai.models.function import AgentInfo

    failures = 2
    heard: list[str] = []

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal failures
        text = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
        heard.append(text)
        if text == "one" and failures:
            failures -= 1
            raise ConnectionError("the model is away")
        return ModelResponse([TextPart(f"heard: {text}")])

    scene = stage(tmp_path, model=model, database=database_url, timings=IMPATIENT)
    async with scene.open():
        await scene.write("alice", "one")
        await wait_until_async(lambda: heard, what="it was tried")
        await scene.write("alice", "two")
        await scene.wait_for(2)
    assert sorted(texts(scene)) == ["heard: one", "heard: two"]
    assert heard.count("one") == 3
    assert heard.count("two") == 1


async def test_a_message_whose_model_fails_for_ever_is_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "3")
    tries = 0

    async def model(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise ConnectionError("the model is away")

    scene = stage(tmp_path, model=model, timings=IMPATIENT)  # type: ignore[arg-type]
    async with scene.open():
        answer = await scene.ask("alice", "one")
    [(status, reference, error)] = scene.rows("SELECT status, reference, error FROM inbox")
    assert (status, error, tries) == ("dead", "ConnectionError: the model is away", 3)
    assert answer == f"Sorry, something went wrong and I could not answer that (reference {reference})."


def test_a_mark_fits_into_what_the_channels_leave_free() -> None:
    from gateway.channels.presenter import MARK_LENGTH

    assert len(SENT_AGAIN) + 1 <= MARK_LENGTH
