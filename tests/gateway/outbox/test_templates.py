"""Templates: sent at any time, and sent to tell a person of an answer that comes too late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.stage import IMPATIENT, RecordingPresenter, Sent, Stage, StageChannel, place, stage

from gateway import Conversation, Template, TurnContext
from gateway.channels import Choice, Delivery, DeliveryAmbiguousError, DeliveryRefusedError
from toolkits import ToolError, Toolkit, tool

NEWS = Template("HX" + "1" * 32, {"1": "Alice"})
LATE = Template("HX" + "2" * 32)
LONG_AGO = "UPDATE conversations SET last_accepted_at = '2020-01-01 00:00:00.000000'"


class TemplatePresenter(RecordingPresenter):
    """The presenter of a channel with templates, which takes texts only for a day after the person's last message."""

    reply_window = timedelta(hours=24)

    def check_template(self, template: Template) -> None:
        if "bad" in template.variables.values():
            raise DeliveryRefusedError("It has a bad variable.")

    async def send_template(self, conversation: Conversation, template: Template, *, key: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        values = ", ".join(template.variables.values())
        self.sent.append(Sent(conversation.id, f"{template.content_sid[:3]} {values}".strip()))
        return f"p{len(self.sent)}"

    async def was_sent(self, delivery: Delivery) -> bool | None:
        return False if delivery.template is not None else None


@pytest.fixture
def channel() -> StageChannel:
    channel = StageChannel()
    channel.presenter = TemplatePresenter(streams=False)
    return channel


def texts(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent]


async def test_a_template_is_sent_inside_and_outside_the_reply_window(
    tmp_path: Path, channel: StageChannel, database_url: str
) -> None:
    scene = stage(tmp_path, channel=channel, database=database_url)
    async with scene.open():
        await scene.ask("alice", "hello")
        await scene.gateway.send(place("dm-alice"), template=NEWS)
        await scene.wait_for(2)
        await scene.change(LONG_AGO)
        assert await scene.gateway.send(place("dm-alice"), template=NEWS, key="news")
        assert await scene.gateway.send(place("dm-alice"), template=NEWS, key="news") is None
        await scene.gateway.send(place("dm-bob"), template=NEWS, at=datetime.now(UTC))
        await scene.wait_for(4)
    assert sorted(texts(scene)) == ["HX1 Alice", "HX1 Alice", "HX1 Alice", "heard: hello"]


async def test_a_template_is_tried_again_and_becomes_a_dead_letter(
    tmp_path: Path, channel: StageChannel, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DELIVERY_TRIES", "2")
    channel.presenter.failures += [ConnectionError("refused"), DeliveryAmbiguousError("lost")]
    scene = stage(tmp_path, channel=channel, database=database_url, timings=IMPATIENT)
    async with scene.open():
        await scene.gateway.send(place("dm-alice"), template=NEWS)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 1)
        channel.presenter.failures.append(DeliveryAmbiguousError("lost"))
        await scene.gateway.send(place("dm-alice"), template=NEWS)
        await scene.wait_for(1)
    assert texts(scene) == ["HX1 Alice"]


async def test_a_template_that_the_channel_does_not_take_is_refused_at_once(
    tmp_path: Path, channel: StageChannel
) -> None:
    scene = stage(tmp_path, channel=channel)
    async with scene.open():
        with pytest.raises(ToolError, match="bad variable"):
            await scene.gateway.send(place("dm-alice"), template=Template(NEWS.content_sid, {"1": "bad"}))
        with pytest.raises(ValueError, match="a template is sent alone"):
            await scene.gateway.send(place("dm-alice"), "hello", template=NEWS)
    with pytest.raises(ValueError, match="'HX1' is not the Content SID"):
        Template("HX1")


async def test_a_channel_without_templates_refuses_one(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        with pytest.raises(ToolError, match="This channel has no message templates: send a text"):
            await scene.gateway.send(place("dm-alice"), template=NEWS)


class Newsletter(Toolkit):
    """A toolkit that sends a template."""

    @tool
    async def subscribe(self, context: TurnContext) -> str:
        """Send the news."""
        await context.send(template=NEWS)
        return "subscribed"


async def test_a_tool_sends_a_template(tmp_path: Path, channel: StageChannel) -> None:
    scene = stage(tmp_path, [Newsletter()], channel=channel)
    async with scene.open():
        await scene.write("alice", "call subscribe")
        await scene.wait_for(2)
    assert "HX1 Alice" in texts(scene)


async def test_an_answer_that_comes_too_late_is_announced_once_and_follows_when_the_person_writes(
    tmp_path: Path, channel: StageChannel, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    channel.presenter.late_template = LATE
    monkeypatch.setattr(channel.presenter, "parts", lambda text: text.split("|"))
    scene = stage(tmp_path, channel=channel, database=database_url)
    async with scene.open():
        await scene.ask("alice", "hello")
        await scene.change(LONG_AGO)
        await scene.gateway.send(place("dm-alice"), "one|two|three")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'late'", 3)
        await scene.wait_for(2)
        await scene.gateway.send(place("dm-alice"), "four")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'late'", 4)
    assert texts(scene) == ["heard: hello", "HX2"]

    again = stage(tmp_path, channel=channel, database=database_url, written=1)
    async with again.open():
        assert await again.ask("bob", "hello") == "heard: hello"
        assert texts(again) == ["heard: hello", "HX2", "heard: hello"]
        await again.change("UPDATE outbox SET created_at = '2020-01-02 00:00:00.000000' WHERE status = 'late'")
        await again.write("alice", "show me")
        await again.wait_for(8)
        await again.change(LONG_AGO.replace("2020", "2021"))
        await again.change("UPDATE outbox SET created_at = '2020-01-02 00:00:00.000000' WHERE kind = 'late_template'")
        await again.gateway.send(place("dm-alice"), "five")
        await again.wait_for(9)
    assert texts(again)[3:] == ["one", "two", "three", "four", "heard: show me", "HX2"]


async def test_a_late_question_is_asked_when_the_person_writes(tmp_path: Path, channel: StageChannel) -> None:
    class Asks(Toolkit):
        @tool
        async def pick(self, context: TurnContext) -> str:
            """Ask for a colour."""
            await scene.change(LONG_AGO)
            return await context.ask("Which colour?", ["red", "blue"])

    channel.presenter.late_template = LATE
    scene = stage(tmp_path, [Asks()], channel=channel)
    async with scene.open():
        await scene.write("alice", "call pick")
        await scene.wait_for(1)
        assert texts(scene) == ["HX2"]
        await scene.write("alice", "hello")
        await scene.wait_until(lambda: any(sent.card is not None for sent in scene.sent))
        [card] = [sent.card for sent in scene.sent if sent.card is not None]
        assert card.choices[0] == Choice("red")


async def test_a_late_template_that_is_refused_is_a_dead_letter_and_the_answer_still_follows(
    tmp_path: Path, channel: StageChannel
) -> None:
    channel.presenter.late_template = LATE
    channel.presenter.failures.append(DeliveryRefusedError("not approved"))
    scene = stage(tmp_path, channel=channel)
    async with scene.open():
        await scene.gateway.send(place("dm-alice"), "the report")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 1)
        await scene.write("alice", "hello")
        await scene.wait_for(2)
    assert texts(scene) == ["the report", "heard: hello"]
