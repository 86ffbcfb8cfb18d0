"""A channel lists the questions that wait for a person, and shows them to nobody else."""

from pathlib import Path

import pytest
from support.stage import CANCEL, TENANT, Orders, Stage, stage

from gateway import Identity, TurnContext
from gateway.channels import Press, PressOutcome, QuestionCard
from gateway.turns.questions.waiting import MOST_LISTED
from toolkits import Toolkit, tool

ALICE, BOB, CAROL = (Identity("stage", TENANT, name) for name in ("alice", "bob", "carol"))


class Letters(Toolkit):
    """A toolkit that asks a question without choices."""

    @tool
    async def write(self, context: TurnContext) -> str:
        """Write a letter."""
        return await context.ask("What shall it say?")


async def waiting(scene: Stage, identity: Identity) -> list[QuestionCard]:
    return list(await scene.gateway.host.open_questions(identity))


async def test_each_person_is_shown_their_own_questions_until_they_are_decided(
    tmp_path: Path, database_url: str
) -> None:
    orders = Orders()
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        for person in ("alice", "bob"):
            await scene.write(person, CANCEL)
        await scene.wait_for(2)
        (alices,), (bobs,) = await waiting(scene, ALICE), await waiting(scene, BOB)
        assert alices.id != bobs.id
        assert await waiting(scene, CAROL) == []
        assert "4711" in alices.text
        assert [choice.label for choice in alices.choices] == ["Approve", "Decline"]
        stolen = await scene.gateway.host.press(Press(alices.id, 0, BOB, "Bob"))
        assert stolen.outcome is PressOutcome.NOT_YOURS
        taken = await scene.gateway.host.press(Press(alices.id, 0, ALICE, "Alice"))
        assert taken.outcome is PressOutcome.TAKEN
        assert await waiting(scene, ALICE) == []
        await scene.wait_until(lambda: orders.cancelled == ["4711"])


async def test_an_approver_is_shown_the_approvals_of_others(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Orders()], approvers=[BOB])
    async with scene.open():
        await scene.write("alice", CANCEL)
        await scene.wait_for(2)
        (card,) = await waiting(scene, BOB)
        assert "May I do this for" in card.text
        assert await waiting(scene, CAROL) == []


async def test_a_question_without_choices_is_shown(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Letters()])
    async with scene.open():
        await scene.write("alice", "call write")
        await scene.wait_for(1)
        (card,) = await waiting(scene, ALICE)
        assert (card.text, card.choices) == ("What shall it say?", [])


@pytest.mark.long
async def test_a_list_has_a_limit(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Orders()], approvers=[BOB])
    people = [f"person-{number}" for number in range(MOST_LISTED + 1)]
    async with scene.open():
        for person in people:
            await scene.write(person, CANCEL)
        await scene.wait_for(2 * len(people))
        assert len(await waiting(scene, BOB)) == MOST_LISTED
