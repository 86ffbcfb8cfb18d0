"""Serve the recipes of the three channels unchanged, with their settings in the environment."""

import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, sign_in
from e2e.served import ROOT
from peers import aimock as scripted
from peers import seed
from peers.aimock import Aimock
from peers.emulate.server import Emulate
from peers.telegram.server import TelegramServer
from peers.wait import wait_until


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_recipe_answers_with_the_mail_of_the_person_who_asks(
    channel: str, serve: Serve, emulate: Emulate, telegram: TelegramServer, aimock: Aimock
) -> None:
    aimock.load(
        [
            scripted.calls_tool("new in my mail", "search_messages", {"limit": 5}, hasToolResult=False),
            scripted.says("new in my mail", "You have **three** mails.", hasToolResult=True),
        ]
    )
    serve(
        ROOT / "cookbook" / channel / "gmail_agent.py",
        UNDERSTUDY_MODEL="openai-chat:gpt-5.2",
        OPENAI_API_KEY="none",
        OPENAI_BASE_URL=aimock.base_url,
    )
    alice = CHANNELS[channel](seed.ALICE, emulate, telegram)
    alice.write("What is new in my mail?")
    sign_in(alice, emulate)
    wait_until(lambda: "three" in alice.seen()[-1], what="alice is answered")
    told = str(aimock.requests()[-1])
    assert seed.ALICE.marker("MAIL", 1) in told
    assert seed.CANARY not in told
