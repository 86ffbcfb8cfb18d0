"""The pytest plugin with the fixture `no_leaks`. pytest loads it wherever Understudy is installed."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def no_leaks() -> Callable[[Any], None]:
    """Return a function that hunts for leaks in an agent: `def test_it(no_leaks): no_leaks(agent)`.

    The function takes an `Agent`, a `Gateway` or an agent of a framework. If it finds a leak, or can call no tool, the
    test fails with the report. In a coroutine, the function blocks the event loop.
    """

    def check(agent: Any) -> None:
        from gateway.agents.agent import Agent  # imported here, because most tests do not need it
        from gateway.app.gateway import Gateway
        from gateway.check.blocking import hunt_and_wait

        agent = agent.agent if isinstance(agent, Gateway) else agent
        report = hunt_and_wait(agent if isinstance(agent, Agent) else Agent(agent))
        if report.leaks or not report.turns:
            pytest.fail(str(report), pytrace=False)

    return check
