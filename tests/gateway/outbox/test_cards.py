"""The card of a question is replaced when the question is closed, if the platform can do that."""

from pathlib import Path

import pytest
from support.stage import CANCEL, IMPATIENT, Orders, stage

from gateway.channels import DeliveryRefusedError, PressOutcome

UNFINISHED = "SELECT count(*) FROM outbox WHERE status NOT IN ('sent', 'dropped')"


@pytest.mark.parametrize(
    "error", [DeliveryRefusedError("too old"), ConnectionError("gone"), AssertionError("a mistake")]
)
async def test_a_card_that_cannot_be_replaced_is_no_dead_letter_and_people_are_told_nothing(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    scene = stage(tmp_path, [Orders()], database=database_url, timings=IMPATIENT, settings={"delivery_tries": 2})

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(scene.channel.presenter, "close_question", fail)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = (await scene.wait_for(1))[0].card
        assert card is not None
        await scene.press("alice", card, "Approve")
        assert (await scene.wait_for(2))[1].text == "cancelled 4711"
        await scene.wait_until_rows(UNFINISHED, 0)
        assert (await scene.press("alice", card, "Approve")).outcome is PressOutcome.DECIDED
        assert len(scene.sent) == 2
    assert scene.rows("SELECT status FROM outbox WHERE kind = 'closed_question'") == [("dropped",)]


async def test_a_card_that_the_platform_gave_no_id_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path, [Orders()])

    async def send_question_without_id(conversation: object, card: object, reply_to: str, *, key: str) -> None:
        await send_question(conversation, card, reply_to, key=key)  # type: ignore[arg-type]

    send_question = scene.channel.presenter.send_question
    monkeypatch.setattr(scene.channel.presenter, "send_question", send_question_without_id)
    async with scene.open():
        await scene.write("alice", CANCEL)
        card = (await scene.wait_for(1))[0].card
        assert card is not None
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
        await scene.press("alice", card, "Approve")
        await scene.wait_for(2)
    assert scene.rows("SELECT count(*) FROM outbox WHERE kind = 'closed_question'") == [(0,)]
