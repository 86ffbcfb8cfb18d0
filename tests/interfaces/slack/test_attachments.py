"""Files that people send in Slack reach the model: https://docs.slack.dev/reference/objects/file-object"""

from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from slack_sdk.web.async_client import AsyncWebClient
from support.channels.running import Run
from support.channels.slack import post, said
from support.files import PNG

from interfaces.slack import Slack

pytestmark = pytest.mark.long


async def uploaded(emulate: Emulate, name: str, content: bytes) -> str:
    """Upload a file to a direct conversation as Alice, and return its address."""
    client = AsyncWebClient(seed.ALICE.slack_token, base_url=emulate.slack_url)
    answer = await client.files_upload_v2(filename=name, content=content, channel=emulate.slack_dm("alice"))
    return str(answer["file"]["url_private"])


def shared(emulate: Emulate, url: str, text: str = "what is it?", **file: Any) -> dict[str, Any]:
    """Return the event of a direct message with a file."""
    payload = events.file_share(text, url=url, channel=emulate.slack_dm("alice"), channel_type="im")
    payload["event"]["files"][0] |= file
    return payload


async def test_a_file_reaches_the_model_byte_for_byte(run: Run, slack: Slack, emulate: Emulate) -> None:
    url = await uploaded(emulate, "photo.png", PNG)
    async with run(slack) as running:
        await post(running, shared(emulate, url, name="photo.png", mimetype="image/png"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert running.prompts == ["what is it?\n\n[image 'photo.png']"]
        assert running.files == [(PNG, "image/png")]


async def test_a_later_message_reaches_the_model_with_the_file(run: Run, slack: Slack, emulate: Emulate) -> None:
    url = await uploaded(emulate, "photo.png", PNG)
    async with run(slack) as running:
        await post(running, shared(emulate, url, name="photo.png", mimetype="image/png"))
        await said(emulate, emulate.slack_dm("alice"), 1)
        await post(running, events.message("and now?", channel=emulate.slack_dm("alice"), channel_type="im"))
        await said(emulate, emulate.slack_dm("alice"), 2)
        assert running.files == [(PNG, "image/png")] * 2


async def test_a_text_file_reaches_the_model_as_text(run: Run, slack: Slack, emulate: Emulate) -> None:
    url = await uploaded(emulate, "notes.txt", b"milk, eggs")
    async with run(slack) as running:
        await post(running, shared(emulate, url, "", name="notes.txt"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert running.prompts == ["[document 'notes.txt']\nmilk, eggs\n[end of document 'notes.txt']"]


async def test_all_files_of_a_message_are_one_message(run: Run, slack: Slack, emulate: Emulate) -> None:
    urls = [await uploaded(emulate, f"{text}.txt", text.encode()) for text in ("one", "two", "three")]
    payload = shared(emulate, urls[0], name="one.txt")
    file = payload["event"]["files"][0]
    others = [
        {**file, "id": f"F{text}", "name": f"{text}.txt", "url_private": url, "url_private_download": url}
        for text, url in zip(("two", "three"), urls[1:], strict=True)
    ]
    payload["event"]["files"] += others
    async with run(slack) as running:
        await post(running, payload)
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        documents = [
            f"[document '{text}.txt']\n{text}\n[end of document '{text}.txt']" for text in ("one", "two", "three")
        ]
        assert running.prompts == ["\n\n".join(["what is it?", *documents])]


async def test_a_sign_in_page_is_not_taken_for_the_file(run: Run, slack: Slack, emulate: Emulate) -> None:
    """Answer the download with a sign-in page and status 200, as Slack does without the scope `files:read`."""
    url = f"{emulate.slack_url.removesuffix('/api/')}/files-pri/notes.txt"
    emulate.slack.fail("/files-pri/notes.txt", 200, headers={"Content-Type": "text/html"}, body="<html>Sign in")
    async with run(slack) as running:
        await post(running, shared(emulate, url, name="notes.txt"))
        (answer,) = await said(emulate, emulate.slack_dm("alice"), 1)
    assert answer.endswith("Slack does not give out the document 'notes.txt': it shows a web page instead.")


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({"size": 30 * 2**20}, "is larger than 20 MB."),
        ({"mode": "tombstone"}, "is no longer at Slack."),
        ({"url_private_download": "https://example.com/notes.txt"}, "its address does not belong to Slack."),
        ({"url_private": None, "url_private_download": None}, "Slack does not give out the document 'notes.txt': "),
    ],
)
async def test_a_file_that_cannot_be_read_is_named(
    run: Run, slack: Slack, emulate: Emulate, file: dict[str, Any], sentence: str
) -> None:
    async with run(slack) as running:
        await post(running, shared(emulate, "https://files.slack.com/notes.txt", **file))
        (answer,) = await said(emulate, emulate.slack_dm("alice"), 1)
    assert answer.startswith("heard\n\nI could not read the document 'notes.txt': ")
    assert sentence in answer


async def test_slack_is_asked_again_for_the_address_of_a_file(run: Run, slack: Slack, emulate: Emulate) -> None:
    """Send an event that contains only the id of the file, as in a channel that another organization shares."""
    url = await uploaded(emulate, "notes.txt", b"milk, eggs")
    emulate.slack.fail("/api/files.info", 503)
    emulate.slack.fail("/api/files.info", 200, body={"ok": True, "file": {"url_private": url}})
    async with run(slack) as running:
        await post(running, shared(emulate, url, name="notes.txt", url_private=None, url_private_download=None))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert "milk, eggs" in running.prompts[0]


async def test_the_link_of_a_file_in_another_service_reaches_the_model(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    link = "https://docs.example.com/d/1"
    external = {"is_external": True, "url_private": link, "name": "plan"}
    async with run(slack) as running:
        await post(running, shared(emulate, link, "", **external))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert running.prompts == [f"[document 'plan']\n{link}\n[end of document 'plan']"]


@pytest.mark.parametrize("file", [{"name": 5}, {"size": "12"}, {"url_private": {}}, {"mimetype": []}], ids=str)
async def test_a_malformed_file_is_refused(run: Run, slack: Slack, emulate: Emulate, file: dict[str, Any]) -> None:
    async with run(slack) as running:
        assert await post(running, shared(emulate, "https://files.slack.com/notes.txt", **file)) == 400
        assert running.inbox() == []
