"""The pytest plugin: the fixture `no_leaks`. pytest loads it in every environment that has Understudy installed."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def no_leaks() -> Callable[[Any], None]:
    """Return a function that hunts for leaks in an agent: `def test_it(no_leaks): no_leaks(agent)`.

    It takes an `Agent`, a `Gateway` or an agent of a framework. The test fails, with the report, if there is a leak or
    if no tool could be called. In a coroutine, the function blocks the event loop.
    """

    def check(agent: Any) -> None:
        from gateway.agents.agent import Agent  # imported here, as most projects' tests never need them
        from gateway.app.gateway import Gateway
        from gateway.check.blocking import hunt_and_wait

        agent = agent.agent if isinstance(agent, Gateway) else agent
        report = hunt_and_wait(agent if isinstance(agent, Agent) else Agent(agent))
        if report.leaks or not report.turns:
            pytest.fail(str(report), pytrace=False)

    return check
