import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.turns.google import CALLBACK, OneToken, connected, turn_of

from gateway import TurnContext
from oauth.google import GoogleAuth


@pytest.fixture
def google(emulate: Emulate) -> GoogleAuth:
    emulate.connect([CALLBACK])
    return GoogleAuth(emulate.client_id, emulate.client_secret, emulate.google_url)


@pytest.fixture
async def source(google: GoogleAuth, emulate: Emulate) -> OneToken:
    return await connected(google, emulate, seed.ALICE)


@pytest.fixture
def context(source: OneToken) -> TurnContext:
    """The context of a turn of Alice."""
    return turn_of(source)
