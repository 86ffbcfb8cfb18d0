import pytest
from peers.aimock import Aimock
from support.agents.engines import script


@pytest.fixture
def model_server(aimock: Aimock) -> Aimock:
    script(aimock)
    return aimock
