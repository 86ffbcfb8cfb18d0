"""Finding the engine that an agent names."""

from pathlib import Path

import pytest

from gateway import Agent, Gateway, SettingError


def test_an_unknown_engine_is_refused_with_the_names_of_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'crewai'.*langgraph, openai-agents, pydantic-ai"):
        Gateway(Agent(model="test", engine="crewai"), database=f"sqlite:///{tmp_path}/x.db")
