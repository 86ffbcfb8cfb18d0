import pytest
from support.agents.reading import ReadingAgents


@pytest.fixture
def reads() -> ReadingAgents:
    return ReadingAgents()
