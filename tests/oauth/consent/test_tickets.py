"""A ticket can be used by one person, even if others see it."""

import re
from typing import Any

import pytest
from support.consent.sign_ins import link_for
from support.stage import Stage, Vault


@pytest.fixture
def vault() -> Vault:
    """A toolkit whose answers everybody may read."""
    made = Vault()
    made.private = False
    return made


async def test_a_ticket_serves_only_the_person_it_was_made_for(scene: Stage) -> None:
    async with scene.open():
        await link_for(scene, "alice", "thread")
        sign_in = scene.sent[0].sign_in
        assert sign_in is not None
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sign_in.ticket)
        assert "somebody else" in await scene.ask("bob", "", command="start", argument=sign_in.ticket)
        await scene.write("alice", "", command="start", argument=sign_in.ticket)
        link: Any = (await scene.wait_for(3))[2]
        assert link.conversation == "dm-alice"
        await scene.connect(link.link, "alice")
        answer = (await scene.wait_for(4))[3]
        assert (answer.conversation, answer.text) == ("thread", "SECRET-alice")
