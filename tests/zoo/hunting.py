"""Check all toolkits of a zoo for leaks, in a process of its own, since the check searches all memory of its process.

Usage: hunting.py leaky|correct FILE. The program writes the pickled report to FILE.
"""

import pickle
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gateway import Agent
from gateway.check.blocking import hunt_and_wait
from toolkits import Toolkit


def _zoo(name: str) -> Any:
    return import_module(f"zoo.{name}")


LEAKY: Mapping[type[Toolkit], str] = {
    **_zoo("leaky").LEAKY,
    **_zoo("leaky_stores").LEAKY_STORES,
    **_zoo("leaky_hidden").LEAKY_HIDDEN,
}
CORRECT: Sequence[type[Toolkit]] = [
    *_zoo("correct").CORRECT,
    *_zoo("correct_stores").CORRECT_STORES,
    *_zoo("correct_values").CORRECT_VALUES,
]


def main(zoo: str, target: str) -> None:
    """Check all toolkits of a zoo at once. Each is the only toolkit of one member of a team."""
    toolkits = {"leaky": LEAKY, "correct": CORRECT}[zoo]
    members = [Agent(model="test", toolkits=[toolkit()], name=toolkit.__name__) for toolkit in toolkits]
    report = hunt_and_wait(Agent(model="test", members=members))
    Path(target).write_bytes(pickle.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
