"""Check the toolkits of a zoo for leaks, in a separate process, since the check searches all memory of its process.

Usage: hunting.py leaky|correct FILE. The program writes the pickled report to FILE.

`make test` checks every fifth toolkit, and `make stress` all of them, with ZOO=all.
"""

import os
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


ALL_LEAKY: Mapping[type[Toolkit], str] = {
    **_zoo("leaky").LEAKY,
    **_zoo("leaky_stores").LEAKY_STORES,
    **_zoo("leaky_hidden").LEAKY_HIDDEN,
}
ALL_CORRECT: Sequence[type[Toolkit]] = [
    *_zoo("correct").CORRECT,
    *_zoo("correct_stores").CORRECT_STORES,
    *_zoo("correct_values").CORRECT_VALUES,
]
CHECKS_ALL = os.environ.get("ZOO") == "all"
LEAKY = dict(list(ALL_LEAKY.items())[:: 1 if CHECKS_ALL else 5])
CORRECT = ALL_CORRECT[:: 1 if CHECKS_ALL else 5]


def main(zoo: str, target: str) -> None:
    """Check all toolkits of a zoo in one run. Each is the only toolkit of one member of a team."""
    toolkits = list(LEAKY) if zoo == "leaky" else CORRECT
    members = [Agent(model="test", toolkits=[toolkit()], name=toolkit.__name__) for toolkit in toolkits]
    report = hunt_and_wait(Agent(model="test", members=members))
    Path(target).write_bytes(pickle.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
