"""Measure the time and the memory of a fresh copy of an agent."""

import copy
import gc
import tracemalloc

from bench.harness.agents import agent
from bench.harness.measure import Row, side_by_side

COPIES = 2000


class Trivial:
    def __init__(self) -> None:
        self.value = 1


def measure_copies() -> list[Row]:
    """Compare copies of an agent that has three toolkits of thirteen tools with a shallow copy of a trivial object."""
    template, trivial = agent(), Trivial()
    template.check()

    def used() -> None:
        _ = template.deep_copy().toolkits

    rows = side_by_side(
        {
            "copy.copy of a trivial object": lambda: copy.copy(trivial),
            "copy.deepcopy of a trivial object": lambda: copy.deepcopy(trivial),
            "Agent.deep_copy, 3 toolkits, 39 tools": template.deep_copy,
            "Agent.deep_copy, and every toolkit used": used,
        },
        calls=200,
    )
    kibibytes = retained(template.deep_copy)
    return [*rows, Row("memory that Agent.deep_copy keeps", kibibytes, "KiB", "2 KiB", kibibytes / 2)]


def retained(make: object) -> float:
    """Return the memory, in KiB, that one result of a function keeps."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [make() for _ in range(COPIES)]  # type: ignore[operator]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(kept) / 1024
