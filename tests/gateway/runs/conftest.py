import pytest
from reading_agents import ReadingAgents


@pytest.fixture
def reads() -> ReadingAgents:
    return ReadingAgents()
