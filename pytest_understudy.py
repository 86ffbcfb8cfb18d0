"""The pytest plugin: a fixture that hunts for leaks in an agent. pytest loads it by itself where we are installed."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def no_leaks() -> Callable[[Any], None]:
    """Hunts for leaks in an agent, a gateway's or one of a framework: `def test_it(no_leaks): no_leaks(agent)`.

    The test fails with the report if there is one, or if no tool could be played. It may be called in a coroutine, too,
    which it blocks.
    """

    def check(agent: Any) -> None:
        from gateway.agents.agent import Agent  # here, since pytest loads this file in every project
        from gateway.app.gateway import Gateway
        from gateway.check.blocking import hunt_and_wait

        agent = agent.agent if isinstance(agent, Gateway) else agent
        report = hunt_and_wait(agent if isinstance(agent, Agent) else Agent(agent))
        if report.leaks or not report.turns:
            pytest.fail(str(report), pytrace=False)

    return check
