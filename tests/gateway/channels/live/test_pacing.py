"""The pace of calls to a platform."""

import asyncio
import itertools
import time

import pytest

from gateway.channels import RetryLaterError
from gateway.channels.live import Limit, Pacer

LIMITS = {
    "chat": Limit(most=1, seconds=0.2),
    "group": Limit(most=4, seconds=60.0, previews=2),
    "all": Limit(most=3, seconds=1.0),
}
SLACK = 0.01  # seconds by which a clock may differ from the loop's
ALL = ("all", "")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_previews_of_one_chat_are_spaced_in_their_order_and_those_of_others_do_not_wait() -> None:
    pacer, shown = Pacer(LIMITS), list[tuple[str, float]]()

    async def show(chat: str) -> None:
        await pacer.preview(("chat", chat))
        shown.append((chat, time.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        for chat in ("a", "a", "b", "a"):
            tasks.create_task(show(chat))
    times = [at for chat, at in shown if chat == "a"]
    assert [chat for chat, _ in shown][:2] == ["a", "b"]
    assert all(later - earlier >= 0.2 - SLACK for earlier, later in itertools.pairwise(times))


def test_ten_answers_in_one_chat_are_spaced_and_those_in_others_do_not_wait() -> None:
    pacer = Pacer(LIMITS, Clock())
    waits = [pacer.reserve(("chat", "a")) for _ in range(10)]
    assert waits == pytest.approx([0.2 * number for number in range(10)])
    assert pacer.reserve(("chat", "b")) == 0.0


def test_an_answer_that_waits_for_its_chat_takes_no_place_of_the_others_until_then() -> None:
    pacer = Pacer({**LIMITS, "chat": Limit(most=1, seconds=3.0)}, Clock())
    assert [pacer.reserve(("chat", "a"), ALL) for _ in range(2)] == [0.0, 3.0]
    assert [pacer.reserve(("chat", chat), ALL) for chat in "bcde"] == pytest.approx([0.0, 0.0, 1.0, 1.0])


def test_no_period_of_a_limit_has_more_calls_than_it_allows() -> None:
    """Let answers in three chats, some of which wait for their chat, come in every order."""
    for order in itertools.permutations(range(6)):
        clock = Clock()
        pacer, calls = Pacer({"chat": Limit(most=1, seconds=0.7), "all": Limit(most=3, seconds=1.0)}, clock), []
        for number in order:
            calls += [clock.now + pacer.reserve(("chat", str(number % 3)), ALL) for _ in range(1 + number % 2)]
            clock.now += 0.1 * (number % 2)
        calls.sort()
        assert all(calls[place + 3] - call >= 1.0 - SLACK for place, call in enumerate(calls[:-3])), order


async def test_previews_leave_room_for_answers() -> None:
    pacer, key = Pacer(LIMITS), ("group", "g")
    await pacer.preview(key)
    await pacer.preview(key)
    waiting = asyncio.create_task(pacer.preview(key))
    assert [pacer.reserve(key), pacer.reserve(key)] == [0.0, 0.0]
    with pytest.raises(RetryLaterError) as refused:
        pacer.reserve(key)
    assert 50 < refused.value.seconds <= 60
    assert not waiting.done()
    waiting.cancel()


async def test_previews_wait_until_the_answers_that_wait_in_their_chat_are_sent() -> None:
    pacer, key = Pacer(LIMITS), ("chat", "a")
    began = time.monotonic()
    waits = [pacer.reserve(key) for _ in range(3)]
    assert pacer.gives_way(key)
    await pacer.preview(key)
    assert time.monotonic() - began >= waits[-1] + 0.2 - SLACK


async def test_a_pause_of_previews_does_not_hold_answers_or_other_chats() -> None:
    pacer = Pacer(LIMITS)
    pacer.pause_previews(("chat", "a"), 60)
    waiting = asyncio.create_task(pacer.preview(("chat", "a")))
    await pacer.preview(("chat", "b"))
    assert pacer.reserve(("chat", "a")) == 0.0
    assert not waiting.done()
    waiting.cancel()


def refuse(pacer: Pacer, chat: str, seconds: float = 60.0) -> RetryLaterError:
    """Have a platform refuse a call in a chat; return the error that the caller gets."""
    with pytest.raises(RetryLaterError) as refused, pacer.refusals_noted(("chat", chat), ALL):
        raise RetryLaterError(seconds)
    return refused.value


def test_a_refusal_holds_everything_in_its_chat_and_nothing_elsewhere() -> None:
    clock = Clock()
    pacer = Pacer(LIMITS, clock)
    assert refuse(pacer, "a").place == "a"
    with pytest.raises(RetryLaterError):
        pacer.reserve(("chat", "a"), ALL)
    assert pacer.gives_way(("chat", "a"))
    assert pacer.reserve(("chat", "b"), ALL) == 0.0
    clock.now += 60
    assert pacer.reserve(("chat", "a"), ALL) == 0.0


def test_a_call_that_waited_while_its_chat_was_paused_is_not_made() -> None:
    pacer, calls = Pacer(LIMITS, Clock()), []
    pacer.reserve(("chat", "a"))
    refuse(pacer, "a", 30)
    with pytest.raises(RetryLaterError) as paused, pacer.refusals_noted(("chat", "a"), ALL):
        calls.append("a call")
    assert (calls, paused.value.seconds, paused.value.place) == ([], 30, "a")


def test_refusals_in_many_chats_without_a_success_are_a_limit_of_the_whole() -> None:
    clock = Clock()
    pacer = Pacer(LIMITS, clock)
    assert not any(refuse(pacer, chat, 40).is_for_tenant for chat in "abcd")
    assert refuse(pacer, "e", 20).is_for_tenant
    with pytest.raises(RetryLaterError) as paused:
        pacer.reserve(("chat", "f"), ALL)
    assert paused.value.seconds == 20


@pytest.mark.parametrize("between", ["a success", "time"])
def test_refusals_in_many_chats_are_not_a_limit_of_the_whole_if_they_are_apart(between: str) -> None:
    clock = Clock()
    pacer = Pacer(LIMITS, clock)
    for chat in "abcdefgh":
        assert not refuse(pacer, chat).is_for_tenant
        if between == "time":
            clock.now += 5
        else:
            with pacer.refusals_noted(("chat", "another"), ALL):
                pass


async def test_places_without_recent_calls_are_forgotten() -> None:
    pacer = Pacer({"chat": Limit(most=1, seconds=0.0)})
    for number in range(2500):
        await pacer.preview(("chat", str(number)))
    assert len(pacer._places) <= 1000
