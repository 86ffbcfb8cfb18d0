"""Google Drive, against a third-party stand-in."""

import httpx
import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.turns.google import OneToken, SentToChat, shown, turn_of

from gateway import TurnContext
from oauth.google import GoogleAuth
from toolkits import ToolError
from toolkits.google import Drive

ALICE, BOB = seed.ALICE, seed.BOB


async def test_files_are_searched_and_read(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    drive = Drive(google)
    found = await drive.search_files(context, limit=2)
    assert [file["name"].startswith("ALICE-FILE-") for file in found["files"]] == [True, True]
    rest = await drive.search_files(context, limit=2, page=found["next_page"])
    assert len(rest["files"]) == 1
    assert "content" in await drive.read_file(context, found["files"][0]["id"])
    await drive.search_files(context, "it's \\ here")
    query = httpx.QueryParams(emulate.google.calls("/drive/v3/files")[-1].query)["q"]
    assert query == r"trashed = false and (name contains 'it\'s \\ here' or fullText contains 'it\'s \\ here')"


async def test_a_google_document_is_exported_and_a_file_that_is_not_text_is_refused(
    google: GoogleAuth, context: TurnContext, emulate: Emulate
) -> None:
    drive, path = Drive(google), "/drive/v3/files/f1"
    document = {"id": "f1", "name": "Plan", "mimeType": "application/vnd.google-apps.document"}
    emulate.google.fail(path, 200, body=document)
    emulate.google.fail(f"{path}/export", 200, body="# The plan")
    assert "# The plan" in await drive.read_file(context, "f1")
    asked = emulate.google.calls("/export")[0]
    assert httpx.QueryParams(asked.query)["mimeType"] == "text/markdown"
    emulate.google.fail(path, 200, body={"id": "f1", "name": "film.mp4", "mimeType": "video/mp4", "size": "99"})
    with pytest.raises(ToolError, match=r"film\.mp4 cannot be read as text"):
        await drive.read_file(context, "f1")


async def test_a_file_is_sent_to_the_chat_and_a_document_as_pdf(
    google: GoogleAuth, emulate: Emulate, source: OneToken
) -> None:
    drive, chat = Drive(google), SentToChat()
    context = turn_of(source, sent=chat)
    made = await drive.upload_file(context, "plan.md", "# Plan", "text/markdown")
    await drive.send_file_to_chat(context, made["id"])
    assert chat.files == {"plan.md": b"# Plan"}
    path, document = (
        "/drive/v3/files/f1",
        {"id": "f1", "name": "Plan", "mimeType": "application/vnd.google-apps.document"},
    )
    emulate.google.fail(path, 200, body=document)
    emulate.google.fail(f"{path}/export", 200, body="%PDF-1.7")
    await drive.send_file_to_chat(context, "f1")
    assert chat.files["Plan.pdf"] == b"%PDF-1.7"
    assert httpx.QueryParams(emulate.google.calls("/export")[0].query)["mimeType"] == "application/pdf"
    emulate.google.fail(path, 200, body={**document, "mimeType": "video/mp4", "size": str(51 * 2**20)})
    with pytest.raises(ToolError, match="can be sent"):
        await drive.send_file_to_chat(context, "f1")


async def test_a_file_is_made_and_shared(google: GoogleAuth, context: TurnContext, emulate: Emulate) -> None:
    drive = Drive(google)
    asked = await shown(drive, "upload_file", context, name="plan.md", text="# Plan", mime_type="text/markdown")
    assert asked == "Create the file `plan.md` (text/markdown):\n\n```\n# Plan\n```"
    made = await drive.upload_file(context, "plan.md", "# Plan", "text/markdown")
    assert await drive.read_file(context, made["id"]) == "# Plan"
    asked = await shown(drive, "share_file", context, file_id=made["id"], email="Bob <bob@example.com>", role="writer")
    assert "Share the file `plan.md`" in asked
    assert "with `bob@example.com`, who may then change it" in asked
    emulate.google.fail(f"/drive/v3/files/{made['id']}/permissions", 200, body={"id": "p1"})
    assert await drive.share_file(context, made["id"], "bob@example.com") == "bob@example.com may now read it."
    (call,) = emulate.google.calls("/permissions")
    assert (call.params["role"], call.params["type"], call.params["emailAddress"]) == (
        "reader",
        "user",
        "bob@example.com",
    )
    with pytest.raises(ToolError, match="no file with that id"):
        await shown(drive, "share_file", context, file_id=f"{BOB.name}-file-1", email="bob@example.com")
    with pytest.raises(ToolError, match="one e-mail address"):
        await shown(drive, "share_file", context, file_id=made["id"], email="a@example.com, b@example.com")
