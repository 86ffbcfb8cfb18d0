"""A picture that somebody sends reaches the model, whatever happens to the gateway."""

import json
from base64 import b64encode

from e2e.conftest import Serve
from e2e.served import AGENTS
from peers import seed
from peers.aimock import Aimock, says
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from support.files import PNG

ALICE = seed.ALICE.telegram_id
LONG = 3.0  # seconds that Telegram takes to answer getFile; the gateway is killed meanwhile


def test_a_picture_that_was_acknowledged_before_kill_9_reaches_the_model_after_the_restart(
    serve: Serve, telegram: TelegramServer, aimock: Aimock
) -> None:
    aimock.load([says("and the corner", "blue"), says("what is it", "a dot")])
    telegram.add_file("photo-file", PNG)
    served = serve(AGENTS / "chat_model.py", OPENAI_BASE_URL=aimock.base_url, OPENAI_API_KEY="any")
    telegram.fail("getFile", delay=LONG)
    telegram.deliver(updates.photo("what is it?"))
    wait_until(lambda: served.rows("SELECT status FROM inbox") == [("running",)], what="the turn waits for the picture")
    served.kill()
    assert aimock.requests() == []
    served.start()
    wait_until(lambda: telegram.said(ALICE) == ["a dot"], what="the message is answered")
    telegram.deliver(updates.private_message("and the corner?"))
    wait_until(lambda: telegram.said(ALICE) == ["a dot", "blue"], what="the question about the picture is answered")
    asked = [json.dumps(request["messages"][-1]) for request in aimock.requests()]
    assert len(asked) == 2
    assert all(b64encode(PNG).decode() in message for message in asked)
    assert b64encode(PNG) not in served.stored_bytes()
