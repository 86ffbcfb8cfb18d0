"""Files that the bot shares in conversations, with Slack's external upload."""

from typing import Any

import pytest
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from support.channels.running import Run
from support.channels.slack import dm, post, said
from support.files import PDF, PNG

from gateway import File
from interfaces.slack import Slack
from toolkits import Conversation

COMPLETE = "files.completeUploadExternal"


def shared(emulate: Emulate, channel: str) -> list[Any]:
    """Return the messages with files in a channel, oldest first."""
    history = emulate.slack_call("conversations.history", channel=channel)["messages"]
    return sorted((each for each in history if each.get("files")), key=lambda each: each["ts"])


async def test_files_with_a_text_are_one_message(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        place = Conversation("slack", emulate.slack_team_id, channel, shared=False)
        await running.gateway.send(place, "Here: **both**", files=[File(PNG, name="cat.png"), File(PDF, name="a.pdf")])
        await wait_until_async(lambda: shared(emulate, channel), what="the files are shared")
    (message,) = shared(emulate, channel)
    assert message["text"] == "Here: *both*"
    assert [(file["name"], file["title"], file["size"]) for file in message["files"]] == [
        ("cat.png", "cat.png", len(PNG)),
        ("a.pdf", "a.pdf", len(PDF)),
    ]


@pytest.mark.parametrize("after", [True, False], ids=["taken", "not taken"])
async def test_files_that_slack_did_not_acknowledge_are_looked_up(
    run: Run, slack: Slack, emulate: Emulate, after: bool
) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        place = Conversation("slack", emulate.slack_team_id, channel, shared=False)
        emulate.slack.fail(f"/api/{COMPLETE}", 500, after=after)
        await running.gateway.send(place, "", files=[File(PNG, name="cat.png")])
        await running.gateway.send(place, "next")
        await said(emulate, channel, 2)
    assert len(shared(emulate, channel)) == 1
    assert len(emulate.slack.calls(COMPLETE)) == (1 if after else 2)


async def test_an_upload_that_fails_is_tried_again_and_nobody_sees_it(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        place = Conversation("slack", emulate.slack_team_id, channel, shared=False)
        emulate.slack.fail("/api/files.getUploadURLExternal", 500)
        await running.gateway.send(place, "once", files=[File(PNG, name="cat.png")])
        await wait_until_async(lambda: shared(emulate, channel), what="the file is shared")
        await post(running, dm(emulate, "hello"))
        await said(emulate, channel, 2)
    (message,) = shared(emulate, channel)
    assert message["text"] == "once"  # without a mark that it may have been sent before
