"""The pytest plugin, with the fixture `no_leaks`. pytest loads it in every project where understudy is installed."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def no_leaks() -> Callable[[Any], None]:
    """Return a function that fails the test if an agent leaks: `def test_it(no_leaks): no_leaks(agent)`.

    It takes a gateway, an agent or an agent of a framework, and fails with the report, also if no tool could be played.
    It may be called in a coroutine, which it blocks.
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
