"""A private answer to a message in a shared conversation is posted there if its person presses the button."""

from pathlib import Path

import pytest
from pydantic_ai.messages import BinaryContent, FilePart, ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from support.files import PNG
from support.stage import Sent, Stage, obey, stage

from gateway import TurnContext
from gateway.channels import PressOutcome, QuestionCard
from toolkits import Toolkit, tool


class Diary(Toolkit):
    private = True

    @tool
    async def read_page(self) -> str:
        """Read a page."""
        return "dear diary"

    @tool
    async def send_page(self, context: TurnContext) -> str:
        """Send a page as a file."""
        await context.send("here it comes")
        return "dear diary"


async def offered(scene: Stage, *, reached: bool) -> QuestionCard:
    await scene.wait_until(lambda: scene.channel.presenter.notes == [("room", "alice", reached)])
    (card,) = scene.channel.presenter.note_cards
    return card


async def test_its_person_has_a_private_answer_posted(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Diary()], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", "call read_page", "room") == "dear diary"
        card = await offered(scene, reached=True)
        assert (await scene.press("bob", card, "Post it here")).outcome is PressOutcome.NOT_YOURS
        assert len(scene.sent) == 1
        assert (await scene.press("alice", card, "Post it here")).outcome is PressOutcome.TAKEN
        assert (await scene.wait_for(2))[1] == Sent("room", "dear diary")
        await scene.wait_until(lambda: "Posted here by Alice" in scene.channel.presenter.closed.get("n0", ""))
        assert (await scene.press("alice", card, "Post it here")).outcome is PressOutcome.DECIDED
        assert await scene.ask("alice", "post it here", "room") == "heard: post it here"
        assert len(scene.sent) == 3


async def test_an_answer_that_is_held_is_posted_and_not_sent_again(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Diary()], database=database_url)
    scene.channel.presenter.unreachable.add("alice")
    async with scene.open():
        await scene.write("alice", "call read_page", "room")
        card = await offered(scene, reached=False)
        await scene.press("alice", card, "Post it here")
        assert (await scene.wait_for(1))[0] == Sent("room", "dear diary")
        scene.channel.presenter.unreachable.clear()
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert await scene.ask("alice", "again") == "heard: again"


async def returns_a_file(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if len(messages) > 1:
        return ModelResponse([TextPart("my page"), FilePart(BinaryContent(PNG, media_type="image/png"))])
    return await obey(messages, info)


async def test_the_files_of_an_answer_are_posted_with_it(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Diary()], returns_a_file, database=database_url)
    async with scene.open():
        await scene.write("alice", "call read_page", "room")
        card = await offered(scene, reached=True)
        assert scene.sent[0].alone == "alice"
        await scene.press("alice", card, "Post it here")
        posted = (await scene.wait_for(2))[1]
        assert (posted.conversation, posted.text, posted.alone) == ("room", "my page", None)
        assert posted.files == scene.sent[0].files
        assert list(posted.files.values()) == [PNG]


async def test_the_answer_alone_is_posted(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Diary()])
    async with scene.open():
        await scene.write("alice", "call send_page", "room")
        await scene.wait_for(2)
        await scene.wait_until(lambda: len(scene.channel.presenter.note_cards) == 1)
        (card,) = scene.channel.presenter.note_cards
        await scene.press("alice", card, "Post it here")
        assert (await scene.wait_for(3))[2] == Sent("room", "dear diary")
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert len(scene.sent) == 4


async def test_an_offer_that_nobody_took_ends(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Diary()])
    async with scene.open():
        await scene.ask("alice", "call read_page", "room")
        card = await offered(scene, reached=True)
        await scene.change("UPDATE questions SET until = '2026-01-01 00:00:00.000000'")
        await scene.wait_until_rows("SELECT count(*) FROM questions WHERE status = 'expired'", 1)
        assert (await scene.press("alice", card, "Post it here")).outcome is PressOutcome.CLOSED
        assert len(scene.sent) == 1


@pytest.mark.parametrize("command", ["accounts", "disconnect"])
async def test_an_answer_to_a_command_is_not_offered(tmp_path: Path, command: str) -> None:
    scene = stage(tmp_path, [Diary()])
    async with scene.open():
        await scene.ask("alice", "", "room", command=command)
        await scene.wait_until(lambda: len(scene.channel.presenter.notes) == 1)
        assert scene.channel.presenter.note_cards == []
