import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

ROUNDS = 40


class Row(NamedTuple):
    """One line of the table: what was measured, in its unit, and how many times what it is held against."""

    what: str
    value: float
    unit: str
    against: str
    ratio: float


def side_by_side(contenders: Mapping[str, Callable[[], object]], calls: int) -> list[Row]:
    """Times contenders in turn, A B C A B C …, so that a drift of the machine's speed meets all alike.

    The first is what the others are held against. The values are medians of rounds, in microseconds a call.
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
    """As `side_by_side`, for coroutine functions."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            began = time.perf_counter()
            for _ in range(calls):
                await contender()
            times[name].append((time.perf_counter() - began) / calls)
    return _rows(times)


def processor_seconds(pids: Iterable[int]) -> float:
    """The processor time that processes have taken since they started, as Linux counts it."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # user and system: proc_pid_stat(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def _rows(times: Mapping[str, list[float]]) -> list[Row]:
    base = next(iter(times))
    # Round by round: what slows a round down slows both sides of its ratio.
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
