import pytest
from engine_agents import script
from peers.aimock import Aimock


@pytest.fixture
def model_server(aimock: Aimock) -> Aimock:
    script(aimock)
    return aimock
