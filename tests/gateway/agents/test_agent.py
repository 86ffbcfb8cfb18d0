"""Agents that are written for a framework, and objects that are not agents."""

from pathlib import Path

import pytest
from langgraph.graph import StateGraph
from peers.aimock import Aimock
from support.agents.engines import ENGINES, Errand, native

from gateway import Agent, Gateway, SettingError


def test_a_gateway_takes_an_agent_of_a_framework_as_it_is(aimock: Aimock, tmp_path: Path) -> None:
    for engine in ENGINES:
        gateway = Gateway(native(engine, aimock), database=f"sqlite:///{tmp_path}/x.db")
        assert gateway.agent.engine == engine


def test_objects_that_no_engine_runs_and_arguments_that_a_native_agent_has_itself_are_refused(
    aimock: Aimock,
) -> None:
    with pytest.raises(SettingError, match=r"compile\(\)"):
        Agent(StateGraph(Errand))
    with pytest.raises(SettingError, match="instructions"):
        Agent(native("langgraph", aimock), instructions="Be kind.")
