import copy
import statistics
import timeit
from collections.abc import Callable
from typing import NamedTuple

from gateway import Agent
from oauth.google import GoogleAuth
from toolkits.google import Gmail

ROUNDS = 30


class Measurement(NamedTuple):
    """How long something takes, in seconds, and how many times what it is held against."""

    what: str
    seconds: float
    against: str
    ratio: float


class Trivial:
    def __init__(self) -> None:
        self.value = 1


def measure_copies() -> list[Measurement]:
    """Copies of an agent with three toolkits, against a shallow copy of a trivial object, in turn."""
    auth = GoogleAuth(client_id="bench", client_secret="bench")
    agent = Agent(model="test", toolkits=[Gmail(auth=auth) for _ in range(3)])
    trivial = Trivial()
    contenders: dict[str, Callable[[], object]] = {
        "copy.copy of a trivial object": lambda: copy.copy(trivial),
        "copy.deepcopy of a trivial object": lambda: copy.deepcopy(trivial),
        "Agent.deep_copy, three toolkits": agent.deep_copy,
    }
    times = {name: [] for name in contenders}
    for _ in range(ROUNDS):  # A B C A B C …, so that a drift of the machine's speed meets all alike
        for name, contender in contenders.items():
            times[name].append(min(timeit.repeat(contender, number=200, repeat=1)) / 200)
    medians = {name: statistics.median(found) for name, found in times.items()}
    base = "copy.copy of a trivial object"
    return [Measurement(name, median, base, median / medians[base]) for name, median in medians.items()]
