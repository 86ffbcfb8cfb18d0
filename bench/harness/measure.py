"""Measure functions side by side, and describe the results as rows of the table."""

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

ROUNDS = 40


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        what: the operation that was measured.
        value: the result.
        unit: the unit of the result.
        against: what the result is compared with.
        ratio: the result divided by the value that it is compared with.
    """

    what: str
    value: float
    unit: str
    against: str
    ratio: float


def side_by_side(contenders: Mapping[str, Callable[[], object]], calls: int) -> list[Row]:
    """Measure functions in turn, A B C A B C …, so that changes of the machine's speed affect all of them alike.

    The values are medians of the rounds, in microseconds for each call.

    Args:
        contenders: the functions, by the names in their rows. All are compared with the first.
        calls: the number of calls of each function in a round.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            began = time.perf_counter()
            for _ in range(calls):
                contender()
            times[name].append((time.perf_counter() - began) / calls)
    return _rows(times)


async def side_by_side_async(contenders: Mapping[str, Callable[[], Awaitable[object]]], calls: int) -> list[Row]:
    """Measure coroutine functions as `side_by_side` does."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            began = time.perf_counter()
            for _ in range(calls):
                await contender()
            times[name].append((time.perf_counter() - began) / calls)
    return _rows(times)


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the processor time, in seconds, that processes have used since they started."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # user and system: proc_pid_stat(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def _rows(times: Mapping[str, list[float]]) -> list[Row]:
    base = next(iter(times))
    # A ratio is the median of the rounds' ratios, because a slow round is slow for both sides.
    return [
        Row(
            name,
            statistics.median(found) * 1e6,
            "µs",
            base,
            statistics.median(mine / other for mine, other in zip(found, times[base], strict=True)),
        )
        for name, found in times.items()
    ]
